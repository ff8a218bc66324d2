"""VOTES → RANKING: who liked what, which of two was better, and where that puts a photo."""

import uuid

from django.core.exceptions import ValidationError
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


class Comparison(models.Model):
    """One volunteer's answer to "which is the better find?" for two photos of one challenge."""

    class Answer(models.TextChoices):
        LOW = "low", "the photo of the smaller id"
        HIGH = "high", "the photo of the larger id"
        EQUAL = "equal", "neither is better"

    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="comparisons")
    # In the order of their ids, so that a pair is one row whichever way round it was shown.
    low = models.ForeignKey(Photo, models.CASCADE, related_name="+")
    high = models.ForeignKey(Photo, models.CASCADE, related_name="+")
    answer = models.CharField(max_length=5, choices=Answer)
    compared_at = models.DateTimeField(default=timezone.now, editable=False)
    is_new = False  # as of Vote

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["volunteer", "low", "high"], name="one_answer_a_pair"),
            models.CheckConstraint(condition=models.Q(low__lt=models.F("high")), name="pair_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.low_id} or {self.high_id}: {self.answer}"

    @property
    def better_id(self) -> uuid.UUID | None:
        """The better photo's id, None for equal ones."""
        return {self.Answer.LOW.value: self.low_id, self.Answer.HIGH.value: self.high_id}.get(self.answer)


class KnownPair(models.Model):
    """Two photos of which everybody who looks knows the better one: ballots hide some, and voters are weighed by them."""

    class Source(models.TextChoices):
        MODERATOR = "moderator", "a moderator said so"
        CONSENSUS = "consensus", "voters agreed clearly"

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="known_pairs")
    better = models.ForeignKey(Photo, models.CASCADE, related_name="+")
    worse = models.ForeignKey(Photo, models.CASCADE, related_name="+")
    source = models.CharField(max_length=9, choices=Source, default=Source.MODERATOR, editable=False)
    settled_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["better", "worse"], name="known_pair_once"),
            models.CheckConstraint(condition=~models.Q(better=models.F("worse")), name="known_pair_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.better_id} is better than {self.worse_id}"

    def clean(self) -> None:
        """A ballot only asks about accepted photos of one recognizer. Raises ValidationError, which names what is wrong."""
        for name in ("better", "worse"):
            photo = Photo.objects.filter(pk=getattr(self, f"{name}_id")).first()
            if photo is None or photo.recognizer_id != self.recognizer_id or photo.state != Photo.State.ACCEPTED:
                raise ValidationError({name: "Choose an accepted photo of this recognizer."})


class Ranking(models.Model):
    """When a recognizer's photos were ranked last, and which rings of accounts that found."""

    recognizer = models.OneToOneField(Recognizer, models.CASCADE, related_name="ranking")
    claimed_at = models.DateTimeField(null=True, editable=False, help_text="somebody ranks since then")
    ranked_at = models.DateTimeField(null=True, editable=False)
    photos = models.PositiveIntegerField(default=0, editable=False)
    voters = models.PositiveIntegerField(default=0, editable=False)
    rings = models.JSONField(default=list, editable=False, help_text="lists of volunteers' ids, whose votes weigh little")

    def __str__(self) -> str:
        return f"ranking of {self.recognizer}"


class PhotoScore(models.Model):
    """Where a photo stands among those of its days, and why. It is provisional at first; with the photo it goes."""

    photo = models.OneToOneField(Photo, models.CASCADE, related_name="score")
    place = models.PositiveIntegerField(help_text="1 is best; near-duplicates of a better one have no place of their own")
    of = models.PositiveIntegerField()
    parts = models.JSONField()
    ranked_at = models.DateTimeField()
    provisional_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["ranked_at"], name="score_age")]  # what an earlier ranking left is removed by its age

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.place} of {self.of}"
