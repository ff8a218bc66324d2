"""What is said about photos to whoever collects them: few, true sentences, the most useful first."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.advice import ROBUST, SENTENCES, Counted, Grade, advise


def of(label: str, photos: int, **more) -> Counted:
    return Counted(label, photos, more.pop("different", photos), **more)


@pytest.mark.parametrize(
    ("photos", "grade"),
    [
        (0, Grade.NONE),
        (1, Grade.PROTOTYPE),
        (29, Grade.PROTOTYPE),
        (30, Grade.USABLE),
        (199, Grade.USABLE),
        (200, Grade.ROBUST),
    ],
)
def test_a_label_is_a_prototype_below_thirty_photos_and_robust_from_two_hundred(photos, grade):
    assert of("Kiwi", photos).grade == grade


def test_near_duplicates_count_once():
    burst = of("Kiwi", 400, different=29)
    assert burst.grade == Grade.PROTOTYPE
    assert advise([burst, of("Lime", 200)])[0] == (
        "Of the 400 photos of Kiwi 29 differ: near-duplicates count once, so go elsewhere."
    )


def test_one_label_alone_is_told_that_a_second_is_needed():
    assert advise([of("Kiwi", 500)]) == [
        "Add photos of a second label: a model tells things apart, one thing alone teaches it nothing."
    ]


def test_nothing_is_asked_for_where_nothing_is_missing():
    assert advise([of("Kiwi", 200), of("Lime", 900)]) == []


def test_the_rarest_label_is_named_with_what_it_lacks():
    assert advise([of("Kiwi", 40), of("Lime", 12)]) == [
        "Lime has the fewest photos, 12: 18 more make it better than a prototype, 188 more make it robust."
    ]
    assert advise([of("Kiwi", 40), of("Lime", 50)]) == ["Kiwi has the fewest photos, 40: 160 more make it robust."]


def test_what_a_night_mistook_comes_before_counts_and_names_both():
    weak = of("Kiwi", 40, tested=8, right=3, taken_for="Lime")
    assert advise([weak, of("Lime", 250)])[0] == (
        "Kiwi was recognised in 3 of 8 held-out photos, and mostly taken for Lime: photograph both in the same places."
    )


def test_a_few_held_out_photos_make_no_label_weak():
    assert not of("Kiwi", 40, tested=4, right=0).weak
    assert of("Kiwi", 40, tested=5, right=3).weak
    assert not of("Kiwi", 40, tested=10, right=7).weak


def test_labels_without_photos_are_listed_first():
    labels = [of("Kiwi", 200), *(of(name, 0, waiting=2) for name in ("Fig", "Lime"))]
    assert advise(labels) == [
        "There is no accepted photo of Fig and Lime.",
        "Photos that wait for a moderator: 4. No night learns from them before that.",
    ]
    assert advise([of(f"L{at}", 0) for at in range(7)]) == ["There is no accepted photo of L0, L1, L2, L3, L4 and 2 more."]


def test_what_is_ten_times_as_common_as_something_else_is_said():
    assert advise([of("Kiwi", 2001), of("Lime", 200)]) == [
        "Kiwi has 2001 photos, Lime 200: collect what is rare, not what is easy."
    ]
    assert advise([of("Kiwi", 2000), of("Lime", 200)]) == []


counts = st.integers(0, 300)


@st.composite
def labels(draw):
    photos, tested = draw(counts), draw(st.integers(0, 40))
    different, right = draw(st.integers(min(photos, 1), photos)), draw(st.integers(0, tested))
    return Counted("Kiwi", photos, different, draw(counts), tested, right, draw(st.sampled_from(["", "Lime"])))


@given(st.lists(labels(), max_size=8))
def test_advice_is_short_and_never_asks_for_what_is_there(found):
    said = advise(found)
    assert len(said) <= SENTENCES
    assert all(sentence.endswith(".") for sentence in said)
    if len(found) > 1 and all(each.different >= ROBUST for each in found):
        assert not any("fewest" in sentence for sentence in said)
    asked = [int(number) for sentence in said for number in re.findall(r"(\d+) more make it", sentence)]
    assert all(0 < number <= ROBUST for number in asked)
