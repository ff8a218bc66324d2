"""What volunteers are asked to find today."""

from collections.abc import Sequence
from datetime import date

from django.db import transaction

from collector.models import Challenge, Label, Recognizer

# The fallback calendar: a setting for each weekday, when no night proposed one.
SETTINGS = (
    "in dim light",
    "half hidden behind something",
    "from far away",
    "upside down or tilted",
    "on a busy background",
    "in somebody's hand",
    "outdoors, in shade and sun",
)


def todays(*, recognizer: Recognizer, day: date) -> Challenge:
    """The challenge of `day`; where nobody set one, the calendar's: labels in turn, a setting by weekday."""
    challenge = Challenge.objects.filter(recognizer=recognizer, day=day).prefetch_related("labels").first()
    if challenge:
        return challenge
    labels = list(recognizer.labels.all())
    label = labels[day.toordinal() % len(labels)]
    setting = SETTINGS[day.weekday()]
    return propose(
        recognizer=recognizer, day=day, labels=[label], setting=setting, prompt=f"Find {label.name} {setting}.", because=""
    )


def propose(
    *, recognizer: Recognizer, day: date, labels: Sequence[Label], setting: str, prompt: str, because: str
) -> Challenge:
    """Make the challenge of `day`, unless there is one: an editor's choice is never overwritten. Returns what stands."""
    with transaction.atomic():
        challenge, created = Challenge.objects.get_or_create(
            recognizer=recognizer,
            day=day,
            defaults={"setting": setting[:120], "prompt": prompt[:240], "proposed_because": because[:240]},
        )
        if created:
            challenge.labels.set(labels)
    return challenge
