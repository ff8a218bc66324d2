"""The JSON shapes of the phone's API: what comes in is checked here, what goes out is described here for OpenAPI."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from collector.models import Challenge, Label, Photo, Recognizer
from config.fields import Flag, Pattern, Text


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details; further members carry the facts of the case."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


CODE = r"^[0-9A-Za-z -]{12,40}$"  # as a person may write it; collector.invitations reads it


@extend_schema_field({"type": "boolean", "enum": [True]})
class Agreed(Flag):
    pass


@extend_schema_field({"type": "string", "pattern": r"^$|^[\w.\-][\w .\-]{0,38}[\w.\-]$"})
class Handle(Text):
    """The pattern is volunteers.HANDLE as JSON Schema can say it; letters are those of any script."""


class RegistrationSerializer(serializers.Serializer[Any]):
    consent = Agreed(help_text="the volunteer has agreed to the current consent text; only true is taken")
    handle = Handle(required=False, allow_blank=True, max_length=40, help_text="shown in rankings")
    invitation = Pattern(
        CODE, required=False, allow_blank=True, help_text="a code, where registration or a recognizer is closed"
    )


class InvitationSerializer(serializers.Serializer[Any]):
    code = Pattern(CODE, help_text="three groups of four characters; case and dashes do not matter")


class RegisteredSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    token = serializers.CharField(help_text="shown once; send it as `Authorization: Token …`")
    handle = serializers.CharField(allow_null=True)
    consent_version = serializers.CharField()


class LabelSerializer(serializers.ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ["slug", "name"]


class UploadHintSerializer(serializers.Serializer[Recognizer]):
    shorter_side = serializers.IntegerField(source="upload_side", help_text="pixels; a larger photo may be scaled down to it")
    quality = serializers.IntegerField(source="upload_quality", help_text="of JPEG, 1 to 100")


class RecognizerSerializer(serializers.ModelSerializer[Recognizer]):
    labels = LabelSerializer(many=True)
    upload = serializers.SerializerMethodField(help_text="the smallest photo that was measured to be enough; null: as taken")

    class Meta:
        model = Recognizer
        fields = ["slug", "name", "description", "labels", "upload"]

    @extend_schema_field(UploadHintSerializer(allow_null=True))
    def get_upload(self, recognizer: Recognizer) -> dict[str, Any] | None:
        told = recognizer.upload_side and recognizer.upload_quality
        return dict(UploadHintSerializer(recognizer).data) if told else None


class ChallengeSerializer(serializers.ModelSerializer[Challenge]):
    labels = LabelSerializer(many=True)

    class Meta:
        model = Challenge
        fields = ["id", "day", "prompt", "setting", "labels", "proposed_because"]


class DecisionSerializer(serializers.Serializer[Any]):
    verdict = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField()


class PhotoSerializer(serializers.Serializer[Photo]):
    """Fields by name: a ModelSerializer would work them out anew for every upload, at a tenth of its cost."""

    id = serializers.UUIDField()
    recognizer = serializers.CharField(source="recognizer.slug")
    state = serializers.ChoiceField(Photo.State.choices)
    claimed = serializers.CharField(source="claimed.slug")
    label = serializers.CharField(  # type: ignore[assignment]  # named like an attribute of Field
        source="label.slug", allow_null=True, default=None
    )
    sha256 = serializers.CharField(source="sent_sha256", help_text="of the bytes as they were sent")
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    problem = serializers.CharField(allow_blank=True)
    decision = serializers.SerializerMethodField()

    @extend_schema_field(DecisionSerializer(allow_null=True))
    def get_decision(self, photo: Photo) -> dict[str, Any] | None:
        # Nobody can have decided (spares every upload a query), or a first verdict waits for a second one and binds nobody.
        if photo.state in (Photo.State.RECEIVED, Photo.State.PENDING):
            return None
        newest = photo.decisions.last()
        return None if newest is None else dict(DecisionSerializer(newest).data)


_photo = PhotoSerializer()  # one for all answers: a new one copies each of its fields, which takes as long as an INSERT


def described(photo: Photo) -> dict[str, Any]:
    """The JSON shape of one photo."""
    return dict(_photo.to_representation(photo))


class LearnedReleaseSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.CharField(help_text="published or withdrawn")
    left_at = serializers.DateTimeField(allow_null=True, help_text="since then no channel offers it; null: one still does")


class ErasureSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(
        help_text="the receipt's number. Keep it: `GET /api/v1/erasures/{id}` needs no token and says what became of the models"
    )
    requested_at = serializers.DateTimeField()
    photos = serializers.IntegerField(help_text="photos withdrawn by this call")
    receipt = serializers.DictField(
        child=serializers.ListField(), help_text="snapshots, runs, releases and editions that contain them"
    )
    releases = LearnedReleaseSerializer(many=True, help_text="what learned from them, oldest first")
    model_free_at = serializers.DateTimeField(
        allow_null=True,
        help_text="since then no offered model has learned from them; null while a release is offered or a night goes on",
    )


class AnnouncementSerializer(serializers.Serializer[Any]):
    bytes = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="of the whole photo")
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", help_text="of the whole photo, lower-case hex")


class AnnouncedSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="where to put the bytes; whoever has it may write there until then")
    method = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(), help_text="to be sent exactly so")
    expires_at = serializers.DateTimeField(help_text="call again for a fresh address")
