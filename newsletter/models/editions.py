"""EDITION: what an issue of the newsletter froze, and who did what to it."""

from typing import Any

from django.db import models
from django.utils import timezone

from collector.models import Photo, Recognizer


class Edition(models.Model):
    """One issue of the newsletter. Composed once a day, kind and recognizer; frozen when approved, apart from sending it."""

    class Kind(models.TextChoices):
        DAILY = "daily", "daily"
        WEEKLY = "weekly", "weekly"
        REMINDER = "reminder", "reminder of the challenge, without photos"

    class State(models.TextChoices):
        DRAFT = "draft", "draft, an editor may change it"
        FROZEN = "frozen", "approved and frozen, being sent"
        PAUSED = "paused", "frozen, sending is paused"
        CANCELLED = "cancelled", "frozen, the rest is not sent"
        SENT = "sent", "sent"

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="editions")
    # A reminder has none: it is not in the archive, and the numbers there shall have no gaps.
    number = models.PositiveIntegerField(null=True, blank=True)
    day = models.DateField()
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.DAILY)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    title = models.CharField(max_length=120)
    introduction = models.TextField(blank=True)
    content = models.JSONField(default=dict, help_text="what was frozen: model news, challenge, leaderboard")
    # Not empty: this editor objects, and nobody and nothing freezes it until it is released.
    held_by = models.CharField(max_length=150, blank=True, editable=False)
    held_why = models.CharField(max_length=300, blank=True, editable=False)
    composed_at = models.DateTimeField(default=timezone.now, editable=False)
    frozen_at = models.DateTimeField(null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["recognizer", "day", "kind"], name="one_edition_a_day_and_kind"),
            models.UniqueConstraint(fields=["recognizer", "number"], name="edition_number_once"),
        ]

    def __str__(self) -> str:
        name = f"#{self.number}" if self.number else f"{self.kind} {self.day}"
        return f"{self.recognizer.slug} {name}: {self.title}"


class EditionEntry(models.Model):
    """One photo in an edition, with its words frozen: a later rename changes nothing that was printed."""

    class Part(models.TextChoices):
        FIND = "find", "one of the best finds"
        FIX = "fix", "the photo that fixed the mistake which the edition tells of"

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="entries")
    photo = models.ForeignKey(Photo, models.PROTECT, related_name="+")
    part = models.CharField(max_length=4, choices=Part, default=Part.FIND, editable=False)
    position = models.PositiveSmallIntegerField()
    view_sha256 = models.CharField(max_length=64, editable=False)
    caption = models.CharField(max_length=160)
    alt = models.CharField(max_length=240, help_text="what a screen reader says")
    credit = models.CharField(max_length=60)
    mended = models.CharField(max_length=240, blank=True, help_text="which mistake of the model it mended, a sentence")
    scores = models.JSONField(default=dict, help_text="the parts of its rank")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["edition", "position"], name="one_entry_a_position"),
            models.UniqueConstraint(fields=["edition", "photo"], name="one_entry_a_photo"),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.caption}"


class OnlyAdded(models.QuerySet["EditionChange"]):
    """What an editor did cannot be made undone by another."""

    def update(self, **values: Any) -> int:
        raise TypeError("Changes are only added.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Changes are only added.")


class EditionChange(models.Model):
    """One thing that was done to an edition: who, when, what and why. Only added; a deleted draft takes its own along.

    `what` names positions and fields, never a volunteer or their words: an erasure has nothing to look for here.
    """

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="changes")
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    by = models.CharField(max_length=150, help_text="a user's name, “command”, or “schedule”")
    verb = models.CharField(max_length=20)
    what = models.CharField(max_length=300, blank=True)

    objects = OnlyAdded.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d %H:%M} {self.verb} by {self.by}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("Changes are only added.")
        super().save(*args, **options)
