"""EDITION: when the issues of a recognizer are due, and what became of each hour."""

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from collector.models import Recognizer
from newsletter.models.editions import Edition

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS = [(hour, f"{hour:02d}:00") for hour in range(24)]
MOST_NOTICE_H = 12  # an edition that is composed earlier would be due before the day that it is about is over


def known_zone(name: str) -> None:
    """Raises ValidationError for a name that the time zone database does not have."""
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is no time zone. Write one like Europe/Berlin, America/New_York or UTC.")


class Schedule(models.Model):
    """At which local hours a recognizer's editions are due. An hour that is left empty: no edition of that kind."""

    recognizer = models.OneToOneField(Recognizer, models.CASCADE, related_name="schedule")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[known_zone], help_text="like Europe/Berlin")
    daily_hour = models.PositiveSmallIntegerField(null=True, blank=True, choices=HOURS, help_text="about the day before")
    weekly_weekday = models.PositiveSmallIntegerField(default=6, choices=list(enumerate(WEEKDAYS)))
    weekly_hour = models.PositiveSmallIntegerField(
        null=True, blank=True, choices=HOURS, help_text="about the seven days before"
    )
    reminder_hour = models.PositiveSmallIntegerField(null=True, blank=True, choices=HOURS, help_text="the challenge of the day")
    notice_h = models.PositiveSmallIntegerField(
        "hours to object",
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_NOTICE_H)],
        help_text="the draft is composed so many hours before it is due",
    )
    goes_by_itself = models.BooleanField(
        default=False, help_text="at its hour, unless an editor holds it; otherwise it waits for an editor's approval"
    )
    # Hours that were over when the schedule was made are nobody's: no edition is composed for them.
    since = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Schedule of {self.recognizer.name}"


class Slot(models.Model):
    """One hour at which an edition is due. Its row is what two beats agree on: there is one a kind and local day."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits to be composed"
        COMPOSED = "composed", "composed, waits for its hour or for approval"
        GONE = "gone", "frozen and sent, or on its way"
        MISSED = "missed", "did not go by itself"

    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="slots")
    kind = models.CharField(max_length=8, choices=Edition.Kind)
    day = models.DateField(help_text="of the hour, in the schedule's time zone")
    due_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # Empty again once a draft was deleted: then nothing is composed for this hour any more.
    edition = models.OneToOneField(Edition, models.SET_NULL, null=True, blank=True, related_name="slot")
    goes_at = models.DateTimeField(null=True, blank=True, help_text="later than due where it was composed late")
    tried_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "kind", "day"], name="one_slot_a_kind_and_day")]
        indexes = [
            # The sweeper asks every few seconds; partial, so it stays as small as what is under way.
            models.Index(fields=["due_at"], name="slots_open", condition=models.Q(state__in=["waiting", "composed"]))
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.day}"
