"""VOTES: who liked what."""

from django.db import models
from django.utils import timezone

from collector.models import Photo, Volunteer


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
