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
