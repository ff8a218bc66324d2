"""EXPORT, on paper: what formats there are, and which ones are refused."""

import pytest

from training import formats
from training.errors import HarmfulFormat, UnknownFormat
from training.models import Artifact


@pytest.mark.parametrize("name", ["dynamic-range", "per-tensor", "int4", "a16w8"])
def test_a_harmful_format_is_refused_with_what_was_measured(name):
    with pytest.raises(HarmfulFormat, match=r"times as slow|it recognised") as refusal:
        formats.named(name)
    assert refusal.value.facts == {"format": name, "measured": formats.HARMFUL[name]}


def test_a_format_that_does_not_exist_is_refused():
    with pytest.raises(UnknownFormat, match="float32, float16, int8"):
        formats.named("tflite")


def test_rows_and_table_know_the_same_formats():
    assert {str(value) for value in Artifact.Format} == set(formats.ALL)


def test_litert_files_are_executed_and_no_others():
    assert {name for name, each in formats.ALL.items() if each.executed} == {"float32", "float16", "int8", "int8-small"}
    assert all(each.executed == (each.runtime == "LiteRT") for each in formats.ALL.values())


def test_a_file_for_some_phones_alone_is_not_among_those_of_the_same_input():
    assert formats.LITERT == ("float32", "float16", "int8")
    assert formats.named("int8-small").tiers == ("low",)
