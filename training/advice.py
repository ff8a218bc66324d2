"""SNAPSHOT → people: what the photos of a recognizer are good for, and what to collect next. Pure: numbers in, text out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Different photos of one label. With 3 of each of 81 groceries a network recognised 57 % of a test set, with 33 of each 84 %
# (Grocery Store Dataset, top blocks of width 1): below thirty a model shows that an idea works and no more. Two hundred is a
# convention, not measured here.
PROTOTYPE, ROBUST = 30, 200
COPIES = 2  # times as many photos as different ones; then somebody took bursts
WEAK_RECALL = 0.7  # share of a label's held-out photos; below it a label is called weak
TESTED_LEAST = 5  # held-out photos of a label before its recall says anything
UNEVEN = 10  # times as many photos as of another label
SENTENCES = 6  # of advice; who reads ten does none


class Grade(StrEnum):
    """What a model can be expected to do with a label."""

    NONE = "no photo yet"
    PROTOTYPE = "prototype"
    USABLE = "usable"
    ROBUST = "robust"


@dataclass(frozen=True)
class Counted:
    """One label: accepted photos, how many of them differ (near-duplicates count once), photos that wait for a moderator; and
    of the newest night `right` of `tested` held-out photos, most often `taken_for` another label, "" for none."""

    label: str
    photos: int
    different: int
    waiting: int = 0
    tested: int = 0
    right: int = 0
    taken_for: str = ""

    @property
    def grade(self) -> Grade:
        if not self.different:
            return Grade.NONE
        return Grade.PROTOTYPE if self.different < PROTOTYPE else Grade.USABLE if self.different < ROBUST else Grade.ROBUST

    @property
    def weak(self) -> bool:
        return self.tested >= TESTED_LEAST and self.right / self.tested < WEAK_RECALL

    @property
    def copied(self) -> bool:
        return self.photos >= COPIES * self.different > 0


def advise(labels: Sequence[Counted]) -> list[str]:
    """What to do next, the most useful first, at most SENTENCES; [] where nothing is missing."""
    if len(labels) < 2:
        return ["Add photos of a second label: a model tells things apart, one thing alone teaches it nothing."]
    return [*_missing(labels), *_weak(labels), *_copied(labels), *_more(labels), *_uneven(labels), *_waiting(labels)][
        :SENTENCES
    ]


def _missing(labels: Sequence[Counted]) -> list[str]:
    names = [each.label for each in labels if each.grade == Grade.NONE]
    return [f"There is no accepted photo of {_listed(names)}."] if names else []


def _weak(labels: Sequence[Counted]) -> list[str]:
    weak = sorted((each for each in labels if each.weak), key=lambda each: each.right / each.tested)
    return [_of_weak(each) for each in weak[:2]]


def _of_weak(each: Counted) -> str:
    said = f"{each.label} was recognised in {each.right} of {each.tested} held-out photos"
    if each.taken_for:
        return f"{said}, and mostly taken for {each.taken_for}: photograph both in the same places."
    return f"{said}: photograph it in other light, from other sides, in other places."


def _copied(labels: Sequence[Counted]) -> list[str]:
    copied = sorted((each for each in labels if each.copied), key=lambda each: each.different / each.photos)
    return [
        f"Of the {each.photos} photos of {each.label} {each.different} differ: near-duplicates count once, so go elsewhere."
        for each in copied[:2]
    ]


def _more(labels: Sequence[Counted]) -> list[str]:
    few = sorted((each for each in labels if each.grade in {Grade.PROTOTYPE, Grade.USABLE}), key=lambda each: each.different)
    if not few:
        return []
    first = few[0]
    said, robust = f"{first.label} has the fewest photos, {first.different}", f"{ROBUST - first.different} more make it robust"
    if first.grade == Grade.USABLE:
        return [f"{said}: {robust}."]
    return [f"{said}: {PROTOTYPE - first.different} more make it better than a prototype, {robust}."]


def _uneven(labels: Sequence[Counted]) -> list[str]:
    shown = [each for each in labels if each.different]
    least, most = (find(shown, key=lambda each: each.different, default=None) for find in (min, max))
    if least is None or most is None or most.different <= UNEVEN * least.different:
        return []
    return [
        f"{most.label} has {most.different} photos, {least.label} {least.different}: collect what is rare, not what is easy."
    ]


def _waiting(labels: Sequence[Counted]) -> list[str]:
    waiting = sum(each.waiting for each in labels)
    return [f"Photos that wait for a moderator: {waiting}. No night learns from them before that."] if waiting else []


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:5]) + ([f"{len(names) - 5} more"] if len(names) > 5 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
