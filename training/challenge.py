"""EVALUATE → PHONE: tomorrow's challenge, where today's model is weakest."""

from datetime import date
from typing import Any

from collector.challenges import SETTINGS, propose
from collector.models import Challenge, Label, Recognizer


def propose_weakest(*, recognizer: Recognizer, day: date, report: dict[str, Any], unknown: dict[str, int]) -> Challenge | None:
    """Ask for the label that the model knows worst. `report` is `evaluate.report`'s; `unknown` counts the training photos of
    labels that the model could not learn: no label is weaker than one of those. An editor's choice of that day stands.
    """
    weakest = _weakest(report, unknown)
    if weakest is None:
        return None
    slug, because = weakest
    label = Label.objects.get(recognizer=recognizer, slug=slug)
    setting = SETTINGS[day.weekday()]
    return propose(
        recognizer=recognizer,
        day=day,
        labels=[label],
        setting=setting,
        prompt=f"Find {label.name} {setting}.",
        because=because.format(name=label.name),
    )


def _weakest(report: dict[str, Any], unknown: dict[str, int]) -> tuple[str, str] | None:
    if unknown:
        slug = min(unknown, key=lambda key: (unknown[key], key))
        return slug, f"The model cannot know {{name}} yet: it has {unknown[slug]} photos to learn from."
    tested = {slug: line for slug, line in report["per_label"].items() if line["n"]}
    if not tested:
        return None
    # At the same recall, the label of which least is known: the lower end of its interval.
    slug = min(tested, key=lambda key: (tested[key]["recall"], tested[key]["interval"][0], key))
    line = tested[slug]
    return slug, f"The model recognised {{name}} in {line['right']} of {line['n']} held-out photos."
