"""EVALUATE → PHONE: tomorrow's challenge, where today's model is weakest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from collector.challenges import SETTINGS, asked_around, propose
from collector.models import Challenge, Label, Recognizer
from training.weakness import Cell, by_label

LEAST_PHOTOS = 3  # of a label under a condition; of fewer nobody would say "in 1 of 2 such photos"
TELLING = 2  # times that one label was taken for another before it is worth a word
PROMPT_LENGTH = 240  # characters, as in Challenge.prompt

# What to ask for where photos of a condition (training.conditions) fail. One for each of conditions.NAMES.
CONDITION_SETTINGS = {
    "dark": "in dim light",
    "bright": "in glaring light",
    "blurred": "with the phone in motion, so that it blurs a little",
    "cluttered": "on a busy background",
    "far": "from far away",
    "close": "from very close",
}


@dataclass(frozen=True)
class _Weakness:
    """A label (slug) to ask for; `{name}`, `{setting}` and `{other}` in the words are filled in by `_propose`."""

    label: str
    because: str
    prompt: str = "Find {name} {setting}."
    condition: str = ""
    taken_for: str = ""


def propose_weakest(
    *, recognizer: Recognizer, day: date, report: dict[str, Any], unknown: dict[str, int], cells: Sequence[Cell] = ()
) -> Challenge | None:
    """Ask for the label, and the condition if one stands out, that the model knows worst. An editor's choice of the day stands.

    `report` is `evaluate.report`'s, `cells` are `weakness.by_condition`'s of the same model and photos; `unknown` counts the
    training photos of labels that the model could not learn: no label is weaker than one of those. A label that is asked for on
    the day before or after is passed over where another can be asked for. None where there is nothing to say: then the calendar
    has its turn.
    """
    ranked = _ranked(report, unknown, cells)
    asked = asked_around(recognizer=recognizer, day=day)
    weakest = next((weakness for weakness in ranked if weakness.label not in asked), ranked[0] if ranked else None)
    return None if weakest is None else _propose(recognizer, day, weakest)


def _propose(recognizer: Recognizer, day: date, weakness: _Weakness) -> Challenge:
    names = dict(Label.objects.filter(recognizer=recognizer).values_list("slug", "name"))
    setting = CONDITION_SETTINGS.get(weakness.condition, SETTINGS[day.weekday()])
    words = {"name": names[weakness.label], "setting": setting, "other": names.get(weakness.taken_for, "")}
    prompt = weakness.prompt.format(**words)
    if len(prompt) > PROMPT_LENGTH:  # long names: without the reason, which `because` gives as well
        prompt = _Weakness.prompt.format(**words)
    return propose(
        recognizer=recognizer,
        day=day,
        labels=[Label.objects.get(recognizer=recognizer, slug=weakness.label)],
        setting=setting,
        prompt=prompt,
        because=weakness.because.format(**words),
    )


def _ranked(report: dict[str, Any], unknown: dict[str, int], cells: Sequence[Cell]) -> list[_Weakness]:
    """What to ask for, the weakest first."""
    few = [
        _Weakness(slug, f"The model cannot know {{name}} yet: it has {count} photos to learn from.")
        for slug, count in sorted(unknown.items(), key=lambda item: (item[1], item[0]))
    ]
    known = [*by_label(report), *(cell for cell in cells if cell.n >= LEAST_PHOTOS)]
    # As weak as another one: that of which least is known.
    known.sort(key=lambda cell: (round(cell.expected, 6), cell.interval[0], cell.label, cell.condition))
    return few + [_of(cell) for cell in known]


def _of(cell: Cell) -> _Weakness:
    telling = cell.times >= TELLING
    if not cell.condition:
        because = f"The model recognised {{name}} in {cell.right} of {cell.n} held-out photos."
        because += f" It took it for {{other}} in {cell.times} of them." if telling else ""
        return _Weakness(cell.label, because, taken_for=cell.taken_for)
    low, high = cell.interval
    because = (
        f"Of {cell.n} held-out photos of {{name}} {{setting}} the model recognised {cell.right} "
        f"(95 % interval: {low:.0%} to {high:.0%})."
    )
    reason = f"the model took it for {{other}} in {cell.times}" if telling else f"the model recognised it in {cell.right}"
    prompt = f"Find {{name}} {{setting}}: {reason} of {cell.n} such photos."
    if cell.right == cell.n:
        prompt = _Weakness.prompt  # nothing failed there, only everything else was even better
    return _Weakness(cell.label, because, prompt, cell.condition, cell.taken_for)
