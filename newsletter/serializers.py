"""The JSON shapes of voting and of subscribing."""

from typing import Any

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


class BallotPhotoSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    label = serializers.CharField(help_text="slug of the label that was decided")  # type: ignore[assignment]
    image = serializers.URLField(help_text="a JPEG of at most 1024 px")
    alt = serializers.CharField(help_text="what a screen reader says; names nobody")


class BallotSerializer(serializers.Serializer[Any]):
    photos = BallotPhotoSerializer(many=True)


class SubscriptionRequestSerializer(serializers.Serializer[Any]):
    email = Text(max_length=254, help_text="a mail address; upper and lower case are the same")
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
