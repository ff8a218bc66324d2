"""The JSON shapes of fame."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from collector.serializers import Handle
from config.fields import Flag, Text
from newsletter.periods import KINDS


class LineSerializer(serializers.Serializer[Any]):
    place = serializers.IntegerField(help_text="equal points share a place")
    name = serializers.CharField(help_text="handle or pseudonym")
    photos = serializers.IntegerField(help_text="accepted ones; near-duplicates count once")
    likes = serializers.IntegerField()
    worth = serializers.FloatField(allow_null=True, help_text="share of the model's accuracy; null: not known yet")
    points = serializers.IntegerField()


class TeamLineSerializer(serializers.Serializer[Any]):
    place = serializers.IntegerField()
    name = serializers.CharField()
    members = serializers.IntegerField(help_text="listed members with photos there")
    photos = serializers.IntegerField()
    points = serializers.IntegerField()


class BoardSerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(choices=KINDS)
    begins = serializers.DateField(help_text="first day, UTC")
    ends = serializers.DateField(allow_null=True, help_text="first day after it; null for all")
    label = serializers.CharField(allow_null=True, help_text="slug; null: all labels")  # type: ignore[assignment]
    lines = LineSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`from` of the next page; null: this is the last")


class TeamBoardSerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(choices=KINDS)
    begins = serializers.DateField()
    ends = serializers.DateField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    lines = TeamLineSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class WishSerializer(serializers.Serializer[Any]):
    listed = Flag(required=False, help_text="false: on no leaderboard, and no credit names you")
    pseudonym = Handle(required=False, allow_blank=True, max_length=40, help_text='instead of the handle; "": the handle')


class BadgeSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    name = serializers.CharField()
    photo = serializers.UUIDField(help_text="the one that earned it")
    day = serializers.DateField()
    facts = serializers.JSONField(help_text="label, condition, release, count: as far as the rule has them")


class StandingSerializer(LineSerializer):
    name = None  # type: ignore[assignment]
    place = serializers.IntegerField(allow_null=True, help_text="of the whole time; null: you are not listed")
    recognizer = serializers.CharField()
    streak = serializers.IntegerField(help_text="days in a row of which a photo is accepted")
    badges = BadgeSerializer(many=True)


class MyFameSerializer(serializers.Serializer[Any]):
    listed = serializers.BooleanField()
    pseudonym = serializers.CharField()
    team = serializers.CharField(allow_null=True)
    standings = StandingSerializer(many=True)


@extend_schema_field({"type": "string", "pattern": r"^[\w.\-][\w .\-]{0,38}[\w.\-]$"})
class TeamName(Text):
    """As a volunteer's own name."""


class TeamNameSerializer(serializers.Serializer[Any]):
    name = TeamName(max_length=40)


class TeamCodeRequestSerializer(serializers.Serializer[Any]):
    code = Text(max_length=64, help_text="case, blanks and dashes are free")


class TeamSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class TeamWithCodeSerializer(TeamSerializer):
    code = serializers.CharField(help_text="lets others in; shown once")
