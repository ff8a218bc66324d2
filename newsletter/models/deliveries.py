"""INBOX: which mail left."""

import uuid

from django.db import models
from django.utils import timezone

from newsletter.models.editions import Edition
from newsletter.models.readers import Subscriber


class Delivery(models.Model):
    """One edition to one subscriber. The row is the truth, the mail follows it; what is in doubt stays `unknown`."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        SENDING = "sending", "handed to the mail server, no answer yet"
        SENT = "sent", "the mail server took it"
        FAILED = "failed", "refused for good"
        UNKNOWN = "unknown", "the answer was lost: it may or may not have arrived"
        SUPPRESSED = "suppressed", "the subscriber had left by then"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # also names the Message-ID
    edition = models.ForeignKey(Edition, models.PROTECT, related_name="deliveries")
    # Empty once the address was erased: the counts of an edition stay true without it.
    subscriber = models.ForeignKey(Subscriber, models.SET_NULL, null=True, blank=True, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now, help_text="a temporary refusal waits until then")
    claimed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=300, blank=True, help_text="the mail server's last word")

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["edition", "subscriber"], name="one_delivery_a_subscriber")]
        indexes = [
            # The sender claims the next queued rows of an edition; the sweeper looks for stale claims.
            models.Index(fields=["edition", "state", "not_before"], name="delivery_queue")
        ]

    def __str__(self) -> str:
        return f"{self.edition_id} → {self.subscriber_id}: {self.state}"
