"""INBOX: who asked for which newsletter, and which addresses must not be written to."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from collector.models import Recognizer, Volunteer

CONSENT_CHARS = 300  # of the sentence that says where and when people agreed


class Choices(models.Model):
    """Which kinds of edition somebody wants. All three may be off: nothing comes, and the subscription stays."""

    wants_daily = models.BooleanField(default=True, help_text="an edition a day")
    wants_weekly = models.BooleanField(default=False, help_text="an edition a week")
    wants_reminder = models.BooleanField(default=False, help_text="the challenge of the day, in the morning")

    class Meta:
        abstract = True


class Subscriber(Choices):
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
    # Who it is, where a signed-in phone gave the address and its mailbox confirmed it: mails then have a personal part.
    volunteer = models.ForeignKey(
        Volunteer, models.SET_NULL, null=True, blank=True, editable=False, related_name="subscriptions"
    )
    consent = models.CharField(
        max_length=CONSENT_CHARS, blank=True, editable=False, help_text="imported: where and when they agreed"
    )
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    left_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recognizer", "email"], name="one_subscription_an_address")]
        indexes = [
            # An edition is frozen for all confirmed subscribers of a recognizer.
            models.Index(fields=["recognizer", "state"], name="subscriber_state"),
            # A bounce or an erasure concerns an address in the newsletters of all recognizers.
            models.Index(fields=["email"], name="subscriber_email"),
        ]

    def __str__(self) -> str:
        # No address: the admin's own log keeps these words, and would keep them after an erasure.
        return f"reader {self.pk} ({self.state})"


class Request(Choices):
    """Somebody asked that an address gets the newsletter, so. Nothing of it is true before that mailbox confirms."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # named by the link in the mail
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="requests")
    # Empty: the form on the web, or an import.
    volunteer = models.ForeignKey(Volunteer, models.CASCADE, null=True, blank=True, related_name="subscription_requests")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    # A confirmation mail waits to be sent from then on; empty: none waits. Claimed by setting it to empty.
    confirmation_due = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "volunteer"], name="one_request_a_volunteer"),
            # NULLs differ in a unique constraint, so those of the web need one of their own.
            models.UniqueConstraint(fields=["subscriber"], name="one_request_of_the_web", condition=Q(volunteer__isnull=True)),
        ]
        indexes = [
            # The sweeper asks every few seconds; partial, so it stays as small as the backlog.
            models.Index(fields=["confirmation_due"], name="confirmation_waits", condition=Q(confirmation_due__isnull=False)),
            models.Index(fields=["asked_at"], name="request_age"),  # old ones are forgotten
        ]

    def __str__(self) -> str:
        return f"request {self.pk}"


class Suppression(models.Model):
    """An address that is not written to, known only by its keyed hash: it outlives the address (erasure, import)."""

    class Reason(models.TextChoices):
        ERASED = "erased", "its owner had it erased: an import must not bring it back"
        FADED = "faded", "many temporary bounces"
        BOUNCE = "bounce", "there is no such mailbox"
        OPERATOR = "operator", "an operator stopped it"
        COMPLAINT = "complaint", "its owner reported a mail as spam"

    digest = models.CharField(max_length=32, unique=True, editable=False)  # collector.limits.hashed of the address
    reason = models.CharField(max_length=10, choices=Reason)
    since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.digest[:8]}: {self.reason}"


class MailEvent(models.Model):
    """What a mail server or provider said of an address later: once each, however often and in which order it is told."""

    class Kind(models.TextChoices):
        HARD = "hard", "bounced: no such mailbox"
        SOFT = "soft", "bounced for a reason that may pass"
        COMPLAINT = "complaint", "reported as spam"
        UNSUBSCRIBED = "unsubscribed", "left at the provider"

    provider = models.CharField(max_length=40)
    event_id = models.CharField(max_length=128)  # the provider's own, or a hash of what it sent
    digest = models.CharField(max_length=32)  # one event may name several addresses
    kind = models.CharField(max_length=12, choices=Kind)
    happened_at = models.DateTimeField(help_text="by the provider's clock, never later than ours")
    noted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "event_id", "digest"], name="one_event_once")]
        indexes = [
            models.Index(fields=["digest", "kind", "happened_at"], name="event_address"),  # soft bounces are counted
            models.Index(fields=["noted_at"], name="event_age"),  # old ones are forgotten
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.event_id}: {self.kind}"
