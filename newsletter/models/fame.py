"""FAME: what each volunteer did, summed up by day and by leaderboard; who wants to be named how; badges; teams.

All but preferences and teams is derived: `manage.py fame --rebuild` makes the same rows again from photos, votes and values.
"""

from django.db import models
from django.utils import timezone

from collector.models import Label, Photo, Recognizer, Volunteer


class FameBook(models.Model):
    """One row a recognizer: whoever changes derived rows of it raises `turn` first, inside the transaction.

    Not the recognizer's own `turn`: moderators would wait for a recount.
    """

    recognizer = models.OneToOneField(Recognizer, models.CASCADE, primary_key=True, related_name="+")
    turn = models.PositiveBigIntegerField(default=0)
    run = models.BigIntegerField(default=0, help_text="the run by whose values the rows were made; 0: none")

    def __str__(self) -> str:
        return f"fame of {self.recognizer_id}"


class FameMark(models.Model):
    """Something happened that a day's sums do not know yet. Written in the transaction that it tells of, removed by a recount.

    Only ever inserted, never updated: a thousand voters of one day wait for nobody.
    """

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+")
    day = models.DateField(null=True, help_text="empty: all days, after a night")
    badges = models.BooleanField(default=False, help_text="badges may change with it")
    marked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.recognizer_id}: {self.day or 'all'}"


class Sums(models.Model):
    """What is summed up. All whole numbers, so that a sum is the same in whichever order it is made."""

    photos = models.PositiveIntegerField(help_text="accepted photos; near-duplicates count once")
    likes = models.PositiveIntegerField()
    valued = models.PositiveIntegerField(help_text="those of the photos that the newest night valued")
    worth = models.BigIntegerField(help_text="billionths of the model's accuracy; may be negative")

    class Meta:
        abstract = True


class FameDay(Sums):
    """What one volunteer did for one label on one day (UTC, of the acceptance)."""

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+", db_index=False)  # every index begins with it
    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="+")
    label = models.ForeignKey(Label, models.CASCADE, related_name="+", db_index=False)  # labels are never deleted alone
    day = models.DateField()

    class Meta:
        constraints = [
            # Read by day: a recount, and the sums of a short period.
            models.UniqueConstraint(fields=["recognizer", "day", "volunteer", "label"], name="one_fame_day")
        ]
        indexes = [models.Index(fields=["recognizer", "volunteer", "day"], name="fame_of_volunteer")]  # one volunteer's sums

    def __str__(self) -> str:
        return f"{self.day}: {self.volunteer_id}"


class FameBoard(models.Model):
    """One leaderboard: a recognizer's, of one period, of one label or of all."""

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=6)  # newsletter.periods.KINDS
    begins = models.DateField()
    label = models.ForeignKey(Label, models.CASCADE, null=True, related_name="+", db_index=False)
    version = models.PositiveBigIntegerField(default=0, help_text="raised whenever a line may have changed: its ETag")

    class Meta:
        constraints = [
            # Two, because NULL is not equal to NULL.
            models.UniqueConstraint(fields=["recognizer", "kind", "begins", "label"], name="one_fame_board_a_label"),
            models.UniqueConstraint(
                fields=["recognizer", "kind", "begins"], condition=models.Q(label__isnull=True), name="one_fame_board"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.begins}"


class FameLine(Sums):
    """One volunteer on one leaderboard."""

    board = models.ForeignKey(FameBoard, models.CASCADE, related_name="lines", db_index=False)
    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="+")
    points = models.PositiveBigIntegerField()
    # A copy of FamePreference.listed, so that a page is one stretch of one index. Changed with it, in one transaction.
    listed = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["board", "volunteer"], name="one_fame_line")]
        indexes = [
            # A page of a leaderboard, in its order. Partial: who is not listed takes no place.
            models.Index(
                fields=["board", "-points", "-photos", "volunteer"], name="fame_order", condition=models.Q(listed=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.volunteer_id}: {self.points}"


class FamePreference(models.Model):
    """How a volunteer wants to be named in public. No row: listed, by handle."""

    volunteer = models.OneToOneField(Volunteer, models.CASCADE, primary_key=True, related_name="fame_preference")
    listed = models.BooleanField(default=True, help_text="no: on no leaderboard, and no credit names them")
    pseudonym = models.CharField(max_length=40, blank=True, help_text="instead of the handle")
    # casefolded; two volunteers of one name could not be told apart
    pseudonym_key = models.CharField(max_length=80, null=True, unique=True, editable=False)  # noqa: DJ001  many have none

    def __str__(self) -> str:
        return self.pseudonym or str(self.volunteer_id)


class FameBadge(models.Model):
    """A kind of help that a volunteer gave a recognizer, with the facts that earned it (newsletter.badges)."""

    class Kind(models.TextChoices):
        FIRST_IN_THE_DARK = "first-in-the-dark", "First in the dark"
        FIXED_MISTAKES = "fixed-mistakes", "Fixed mistakes"
        NEW_CORNER = "new-corner", "Taught a new corner"

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+", db_index=False)
    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="badges")
    kind = models.CharField(max_length=20, choices=Kind)
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="+", help_text="the one that earned it")
    day = models.DateField(help_text="when that photo was accepted")
    facts = models.JSONField(default=dict, help_text="label, condition, release, count: as far as the rule has them")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recognizer", "volunteer", "kind"], name="one_badge_a_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.volunteer_id}"


class Team(models.Model):
    """Volunteers who count together."""

    name = models.CharField(max_length=40)
    name_key = models.CharField(max_length=80, unique=True, editable=False)  # casefolded: "Owls" and "owls" are one name
    code_hash = models.CharField(max_length=32, unique=True, editable=False)  # keyed; the code itself is shown once
    turn = models.PositiveBigIntegerField(default=0, editable=False)  # raised by who joins: two cannot take the last place
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class TeamMember(models.Model):
    """A volunteer is in one team at most."""

    volunteer = models.OneToOneField(Volunteer, models.CASCADE, primary_key=True, related_name="team_membership")
    team = models.ForeignKey(Team, models.CASCADE, related_name="members")
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.volunteer_id} in {self.team_id}"
