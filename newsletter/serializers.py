"""The JSON shapes of voting."""

from typing import Any

from rest_framework import serializers

from config.fields import Flag
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
