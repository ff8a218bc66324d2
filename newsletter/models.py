"""The rows of VOTES → RANKING → EDITION → INBOX: who liked what, what an edition froze, and which mail left."""

import uuid

from django.db import models
from django.utils import timezone

from collector.models import Photo, Recognizer, Volunteer


class Vote(models.Model):
    """One volunteer's answer to "is this a good find?" for one photo."""

    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="votes")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="votes")
    like = models.BooleanField()
    voted_at = models.DateTimeField(default=timezone.now, editable=False)
    is_new = False  # not a column: newsletter.votes tells its caller whether this call made the row

    class Meta:
        constraints = [models.UniqueConstraint(fields=["volunteer", "photo"], name="one_vote_a_photo")]

    def __str__(self) -> str:
        return f"{'like' if self.like else 'pass'} {self.photo_id}"


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


class Edition(models.Model):
    """One issue of the newsletter. Composed once a day and recognizer; frozen from then on, apart from sending it."""

    class State(models.TextChoices):
        DRAFT = "draft", "draft, an editor may change it"
        FROZEN = "frozen", "approved and frozen, being sent"
        SENT = "sent", "sent"

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="editions")
    number = models.PositiveIntegerField()
    day = models.DateField()
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    title = models.CharField(max_length=120)
    introduction = models.TextField(blank=True)
    content = models.JSONField(default=dict, help_text="what was frozen: model news, challenge, leaderboard")
    composed_at = models.DateTimeField(default=timezone.now, editable=False)
    frozen_at = models.DateTimeField(null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["recognizer", "day"], name="one_edition_a_day"),
            models.UniqueConstraint(fields=["recognizer", "number"], name="edition_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.recognizer.slug} #{self.number}: {self.title}"


class EditionEntry(models.Model):
    """One photo in an edition, with its words frozen: a later rename changes nothing that was printed."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="entries")
    photo = models.ForeignKey(Photo, models.PROTECT, related_name="+")
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
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="deliveries")
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
