"""What volunteers are asked to find today."""

from collections.abc import Sequence
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

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
    """The challenge of `day`; where nobody set one, the calendar's: labels in turn, a setting by weekday.

    Made when it is first asked for, so there is one on every day whatever became of the nights. The recognizer has labels.
    """
    challenge = Challenge.objects.filter(recognizer=recognizer, day=day).prefetch_related("labels").first()
    if challenge:
        return challenge
    label = _in_turn(recognizer, day)
    setting = SETTINGS[day.weekday()]
    return propose(
        recognizer=recognizer, day=day, labels=[label], setting=setting, prompt=f"Find {label.name} {setting}.", because=""
    )


def standing(*, recognizer: Recognizer, day: date) -> Challenge | None:
    """The challenge of any day, if it is known: today's always is, as long as the recognizer has labels; of other days, the one
    that somebody set or asked for. The calendar fills no later day, for a night may still come.
    """
    if day == timezone.now().date() and recognizer.labels.exists():
        return todays(recognizer=recognizer, day=day)
    return Challenge.objects.filter(recognizer=recognizer, day=day).first()


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


def asked_around(*, recognizer: Recognizer, day: date) -> set[str]:
    """Slugs of the labels that are asked for on the day before and the day after. The night sets tomorrow's challenge before
    the calendar fills today's, so both sides count."""
    return _asked(recognizer, day - timedelta(days=1)) | _asked(recognizer, day + timedelta(days=1))


def _asked(recognizer: Recognizer, day: date) -> set[str]:
    asked = Label.objects.filter(challenges__recognizer=recognizer, challenges__day=day)
    return set(asked.order_by().values_list("slug", flat=True))


def _in_turn(recognizer: Recognizer, day: date) -> Label:
    """The day's label by the calendar, or the next one in turn that its neighbours do not ask for; with two labels at least not
    the one of the day before."""
    labels = list(recognizer.labels.all())
    start = day.toordinal() % len(labels)
    turn = labels[start:] + labels[:start]
    before, around = _asked(recognizer, day - timedelta(days=1)), asked_around(recognizer=recognizer, day=day)
    for asked in (around, before):
        for label in turn:
            if label.slug not in asked:
                return label
    return turn[0]
