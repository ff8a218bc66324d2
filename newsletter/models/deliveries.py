"""INBOX: which mail left."""

import uuid

from django.conf import settings
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
        CANCELLED = "cancelled", "the edition was cancelled before its turn came"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # also names the Message-ID
    edition = models.ForeignKey(Edition, models.PROTECT, related_name="deliveries")
    # Empty once the address was erased: the counts of an edition stay true without it.
    subscriber = models.ForeignKey(Subscriber, models.SET_NULL, null=True, blank=True, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Also the lease of a claim: a worker moves it ahead for the rows that it takes, so that those of a dead one come back.
    not_before = models.DateTimeField(default=timezone.now, help_text="not sent before then: refused, paced or claimed")
    claim = models.UUIDField(null=True, blank=True, editable=False, help_text="whose turn it is while it is queued")
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="handing it over began then")
    ended_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=300, blank=True, help_text="the mail server's last word")
    provider_id = models.CharField(max_length=200, blank=True, help_text="the provider's name of it, for webhooks")

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["edition", "subscriber"], name="one_delivery_a_subscriber")]
        indexes = [
            # The sender claims the next queued rows of an edition; the sweeper looks for stale claims.
            models.Index(fields=["edition", "state", "not_before"], name="delivery_queue"),
            # What is in flight, of all editions: the sweeper looks for what fell silent among a handful of rows.
            models.Index(fields=["claimed_at"], name="delivery_in_flight", condition=models.Q(state="sending")),
            # A provider's webhook names a mail by the provider's id; partial, as mail by SMTP has none.
            models.Index(fields=["provider_id"], name="delivery_provider", condition=~models.Q(provider_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.edition_id} → {self.subscriber_id}: {self.state}"

    @property
    def reader(self) -> Subscriber:
        """Whom it goes to, for those who know that the address is there: a claim leaves erased ones out."""
        assert self.subscriber is not None
        return self.subscriber


class DomainPace(models.Model):
    """What the workers of all machines know together of one domain of readers: when its next mail may go."""

    domain = models.CharField(primary_key=True, max_length=254)
    next_at = models.DateTimeField(help_text="the next mail is due then; a burst may be ahead of it by a second")
    promised_at = models.DateTimeField(help_text="rows that had to wait were put off until then, one behind another")
    refusals = models.PositiveSmallIntegerField(
        default=0, help_text="421 or 452 in a row; one mail on trial until one is taken"
    )
    closed_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.domain}: {self.refusals} refusals"


class Intervention(models.Model):
    """Somebody paused, resumed or cancelled the sending of an edition. Rows are only added."""

    class Verb(models.TextChoices):
        PAUSE = "pause", "paused"
        RESUME = "resume", "resumed"
        CANCEL = "cancel", "cancelled"

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="interventions")
    verb = models.CharField(max_length=8, choices=Verb)
    # Empty: on the command line, where no account is known.
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True, help_text="how many rows it met")

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.edition_id}: {self.get_verb_display()}"
