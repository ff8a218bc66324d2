"""The JSON shapes of voting and of subscribing."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.fields import Flag, Text
from newsletter.models import Vote


class VoteRequestSerializer(serializers.Serializer[Any]):
    like = Flag(help_text="true: a good find; false: pass")


class VoteSerializer(serializers.ModelSerializer[Vote]):
    photo = serializers.UUIDField(source="photo_id")

    class Meta:
        model = Vote
        fields = ["photo", "like", "voted_at"]


class JudgementRequestSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=500, help_text="as the pair came with it")
    better = serializers.UUIDField(allow_null=True, help_text="the better find's id; null: neither is better")


class JudgementSerializer(serializers.Serializer[Any]):
    photos = serializers.ListField(child=serializers.UUIDField(), min_length=2, max_length=2)
    better = serializers.UUIDField(source="better_id", allow_null=True)
    compared_at = serializers.DateTimeField()


class BallotPhotoSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    label = serializers.CharField(help_text="slug of the label that was decided")  # type: ignore[assignment]
    image = serializers.URLField(help_text="a JPEG of at most 1024 px")
    alt = serializers.CharField(help_text="what a screen reader says; names nobody")


class BallotSerializer(serializers.Serializer[Any]):
    photos = BallotPhotoSerializer(many=True)


class PairSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="to be sent back with the answer, within a day")
    first = BallotPhotoSerializer()
    second = BallotPhotoSerializer()


class PairBallotSerializer(serializers.Serializer[Any]):
    pairs = PairSerializer(many=True)


@extend_schema_field({"type": "string", "format": "email", "maxLength": 254})
class Address(Text):
    """Read by subscriptions.clean_email."""


class SubscriptionRequestSerializer(serializers.Serializer[Any]):
    email = Address(max_length=254, help_text="a mail address; upper and lower case are the same")
    daily = Flag(default=True, help_text="an edition a day")
    weekly = Flag(default=False, help_text="an edition a week")
    reminder = Flag(default=False, help_text="the challenge of the day, in the morning")


class SubscriptionSerializer(serializers.Serializer[Any]):
    email = serializers.CharField()
    state = serializers.ChoiceField(
        ["asked", "confirmed", "suppressed"],
        help_text="asked: its mailbox has not confirmed; suppressed: mails came back, or one was reported as spam",
    )
    daily = serializers.BooleanField()
    weekly = serializers.BooleanField()
    reminder = serializers.BooleanField()
