"""JSON in requests, by its own types: DRF's fields would take the text "5" for a number and the number 5 for a text.

The schema says what is taken, and a client in a strict language relies on it: what is another type is an error in the client,
better found at its first call than hidden until a value does not convert.
"""

from typing import Any

from rest_framework import serializers


def without_nul(text: str) -> str:
    """PostgreSQL takes no NUL character in a text. No name of ours holds one, so whoever asks for it finds nothing."""
    return text.replace("\x00", "\ufffd")


class Text(serializers.CharField):
    """A JSON string, kept as it is: blanks at its ends are counted, not trimmed away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Pattern(serializers.RegexField):
    """A JSON string that matches as a whole."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A JSON integer."""

    def to_internal_value(self, data: Any) -> int:
        # 1.0 is an integer to JSON Schema; True is one only to Python.
        if isinstance(data, bool) or not (isinstance(data, int) or (isinstance(data, float) and data.is_integer())):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
