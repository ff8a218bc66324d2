"""The JSON shapes of the phone's API: what comes in is checked here, what goes out is described here for OpenAPI."""

from typing import Any

from rest_framework import serializers

from collector.models import Challenge, Label, Photo, Recognizer


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details; further members carry the facts of the case."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


class RegistrationSerializer(serializers.Serializer[Any]):
    consent = serializers.BooleanField(help_text="the volunteer has agreed to the current consent text")
    handle = serializers.CharField(required=False, allow_blank=True, max_length=40, help_text="shown in rankings")


class RegisteredSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    token = serializers.CharField(help_text="shown once; send it as `Authorization: Token …`")
    handle = serializers.CharField(allow_null=True)
    consent_version = serializers.CharField()


class LabelSerializer(serializers.ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ["slug", "name"]


class RecognizerSerializer(serializers.ModelSerializer[Recognizer]):
    labels = LabelSerializer(many=True)

    class Meta:
        model = Recognizer
        fields = ["slug", "name", "description", "labels"]


class ChallengeSerializer(serializers.ModelSerializer[Challenge]):
    labels = LabelSerializer(many=True)

    class Meta:
        model = Challenge
        fields = ["id", "day", "prompt", "setting", "labels", "proposed_because"]


class PhotoSerializer(serializers.ModelSerializer[Photo]):
    recognizer = serializers.SlugRelatedField[Recognizer](slug_field="slug", read_only=True)
    claimed = serializers.SlugRelatedField[Label](slug_field="slug", read_only=True)
    label = serializers.SlugRelatedField[Label](  # type: ignore[assignment]  # named like an attribute of Field
        slug_field="slug", read_only=True, allow_null=True
    )
    sha256 = serializers.CharField(source="sent_sha256", help_text="of the bytes as they were sent")
    decision = serializers.SerializerMethodField()

    class Meta:
        model = Photo
        fields = [
            "id",
            "recognizer",
            "state",
            "claimed",
            "label",
            "sha256",
            "width",
            "height",
            "received_at",
            "problem",
            "decision",
        ]
        read_only_fields = fields

    def get_decision(self, photo: Photo) -> dict[str, Any] | None:
        newest = photo.decisions.last()
        if newest is None:
            return None
        return {"verdict": newest.verdict, "reason": newest.reason, "decided_at": newest.decided_at}


class ErasureSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="the receipt's number")
    photos = serializers.IntegerField(help_text="photos withdrawn by this call")
    receipt = serializers.DictField(
        child=serializers.ListField(), help_text="snapshots, releases and editions that contain them"
    )


class AnnouncementSerializer(serializers.Serializer[Any]):
    bytes = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="of the whole photo")
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", help_text="of the whole photo, lower-case hex")


class AnnouncedSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="where to put the bytes; whoever has it may write there until then")
    method = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(), help_text="to be sent exactly so")
    expires_at = serializers.DateTimeField(help_text="call again for a fresh address")
