"""INBOX: who asked for which newsletter."""

import uuid

from django.db import models
from django.utils import timezone

from collector.models import Recognizer, Volunteer


class Subscriber(models.Model):
    """An address that asked for a recognizer's newsletter. Only confirmed ones get mail."""

    class State(models.TextChoices):
        PENDING = "pending", "has not confirmed yet"
        CONFIRMED = "confirmed", "confirmed"
        LEFT = "left", "left"
        SUPPRESSED = "suppressed", "bounced or complained"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="subscribers")
    email = models.EmailField(max_length=254)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    # Who it is, where the address was given by a signed-in phone: mails then have a personal part. Erasure empties it.
    volunteer = models.ForeignKey(
        Volunteer, models.SET_NULL, null=True, blank=True, editable=False, related_name="subscriptions"
    )
    wants_daily = models.BooleanField(default=True, help_text="an edition a day")
    wants_weekly = models.BooleanField(default=False, help_text="an edition a week")
    wants_reminder = models.BooleanField(default=False, help_text="the challenge of the day, in the morning")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    left_at = models.DateTimeField(null=True, blank=True, editable=False)
    # A confirmation mail waits to be sent from then on; empty: none waits. Claimed by setting it to empty.
    confirmation_due = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recognizer", "email"], name="one_subscription_an_address")]
        indexes = [
            # The sweeper asks every few seconds; partial, so it stays as small as the backlog.
            models.Index(
                fields=["confirmation_due"], name="confirmation_waits", condition=models.Q(confirmation_due__isnull=False)
            ),
            # An edition is frozen for all confirmed subscribers of a recognizer.
            models.Index(fields=["recognizer", "state"], name="subscriber_state"),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.state})"
