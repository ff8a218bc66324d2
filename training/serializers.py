"""The JSON shapes of RELEASE → PHONE: what devices report is checked here, what they get is described here for OpenAPI."""

from typing import Any

from rest_framework import serializers

from config.fields import Number, Pattern, Whole
from training.models import Benchmark


class KeysSerializer(serializers.Serializer[Any]):
    """The root's signed set of keys. An app believes the root that it ships with, never this `root`."""

    root = serializers.DictField(  # type: ignore[assignment]  # DRF takes fields out of the class: nothing is hidden
        help_text="the first root: version, and key as a JWK with `kid`"
    )
    rotations = serializers.ListField(
        child=serializers.DictField(),
        help_text="of the root, oldest first: JWS general serialization, by the old and the new root",
    )
    keys = serializers.CharField(help_text="compact JWS of the present root, typ photorally-keys+jwt")


class BenchmarkSerializer(serializers.ModelSerializer[Benchmark]):
    artifact_sha256 = Pattern(r"^[0-9a-f]{64}$", help_text="the file that was measured, as in the manifest")
    version = Whole(min_value=1, max_value=2**31 - 1, help_text="the release it came with")
    device = Pattern(r"^[A-Za-z0-9_.:-]{1,64}$", help_text="a random id of the device's own making")
    device_model = Pattern(r"^[^\x00-\x1f]*$", max_length=80, required=False, allow_blank=True, help_text='e.g. "Pixel 7"')
    platform = Pattern(r"^[a-z0-9_-]*$", max_length=20, required=False, allow_blank=True, help_text='e.g. "android"')
    tier = Pattern(r"^[a-z0-9_-]*$", max_length=20, required=False, allow_blank=True, help_text="as in the manifest's query")
    latency_ms = Number(min_value=0.001, max_value=600_000, help_text="median of one inference")
    cold_start_ms = Number(
        required=False,
        allow_null=True,
        min_value=0.001,
        max_value=600_000,
        help_text="from opening the file to the first answer",
    )
    memory_mb = Number(required=False, allow_null=True, min_value=0, max_value=1_000_000)
    canary_accuracy = Number(
        required=False, allow_null=True, min_value=0, max_value=1, help_text="share of canary photos that were right"
    )

    answers = Whole(
        required=False, allow_null=True, min_value=0, max_value=1_000_000, help_text="answers of this file that the user saw"
    )
    corrections = Whole(
        required=False, allow_null=True, min_value=0, max_value=1_000_000, help_text="how many of them the user corrected"
    )
    frames = Whole(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=100_000_000,
        help_text="frames of videos during which this file's answer stood",
    )
    frame_changes = Whole(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=100_000_000,
        help_text="in how many of them the frame by itself said something else than the one before",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # No schema can say that one number bounds another, and a client that counts wrongly reports its latency all the same.
        if attrs.get("corrections") is not None:
            attrs["corrections"] = min(attrs["corrections"], attrs.get("answers") or 0)
        if attrs.get("frame_changes") is not None:
            attrs["frame_changes"] = min(attrs["frame_changes"], attrs.get("frames") or 0)
        return attrs

    class Meta:
        model = Benchmark
        fields = [
            "artifact_sha256",
            "version",
            "device",
            "device_model",
            "platform",
            "tier",
            "latency_ms",
            "cold_start_ms",
            "memory_mb",
            "canary_accuracy",
            "answers",
            "corrections",
            "frames",
            "frame_changes",
            "reported_at",
        ]
        read_only_fields = ["reported_at"]
        validators: list[Any] = []  # the same device again is an update, not an error
