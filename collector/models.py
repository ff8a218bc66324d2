"""The rows of PHONE → INTAKE → MODERATION: who sent what, for which challenge, and what was decided about it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

HASH_BANDS = 4  # a 64-bit perceptual hash is indexed as four 16-bit bands, see collector.duplicates


class Volunteer(models.Model):
    """Somebody with the phone app. The token itself is never stored, only its SHA-256."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle = models.CharField(max_length=40, null=True, blank=True, unique=True, help_text="shown in rankings")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)  # looked up on every call
    consent_version = models.CharField(max_length=20, editable=False)
    consented_at = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    # What DRF and Django ask of a request's user.
    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """How others see this volunteer."""
        return self.handle or f"volunteer {str(self.id)[:4]}"


class Recognizer(models.Model):
    """One thing to recognise, with its ordered labels; photos, runs, releases and editions each belong to one."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    active = models.BooleanField(default=True, help_text="inactive: no uploads, no nights, no editions")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Raised inside a transaction to serialise what must see all of a recognizer's photos (clusters, splits): an UPDATE
    # locks the row on PostgreSQL and the file on SQLite, where SELECT … FOR UPDATE is silently dropped.
    turn = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    """A class of a recognizer. `position` is its index in the model's output and never changes."""

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="labels")
    slug = models.SlugField(max_length=80, allow_unicode=True)
    name = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["recognizer", "position"]
        constraints = [
            models.UniqueConstraint(fields=["recognizer", "slug"], name="label_slug_once"),
            models.UniqueConstraint(fields=["recognizer", "position"], name="label_position_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Challenge(models.Model):
    """A dated prompt: labels and a setting to find them in."""

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="challenges")
    day = models.DateField()
    labels = models.ManyToManyField(Label, related_name="challenges")
    setting = models.CharField(max_length=120, help_text='where to find it, e.g. "in dim light"')
    prompt = models.CharField(max_length=240, help_text="the sentence that volunteers read")
    proposed_because = models.CharField(max_length=240, blank=True, help_text="the model's weakness behind it")

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["recognizer", "day"], name="one_challenge_a_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.prompt}"


class Photo(models.Model):
    """One volunteered image with the label its volunteer claims. The primary key is the phone's own UUID."""

    class State(models.TextChoices):
        RECEIVED = "received", "received, nobody has decoded it yet"
        PENDING = "pending", "decoded, waits for a moderator"
        ACCEPTED = "accepted", "accepted"
        REJECTED = "rejected", "rejected"
        BROKEN = "broken", "could not be decoded"
        WITHDRAWN = "withdrawn", "withdrawn by its volunteer"

    class Split(models.TextChoices):
        TRAIN = "train", "train"
        VALIDATION = "validation", "validation"
        TEST = "test", "test"
        NONE = "none", "left out: it links groups of different splits"

    class Source(models.TextChoices):
        PHONE = "phone", "phone"
        IMPORT = "import", "import"

    id = models.UUIDField(primary_key=True, editable=False)
    volunteer = models.ForeignKey(Volunteer, models.PROTECT, related_name="photos")
    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="photos")
    challenge = models.ForeignKey(Challenge, models.SET_NULL, null=True, blank=True, related_name="photos")
    claimed = models.ForeignKey(Label, models.PROTECT, related_name="+", help_text="the label its volunteer claims")
    label = models.ForeignKey(
        Label, models.PROTECT, related_name="photos", null=True, blank=True, help_text="the label that was decided"
    )
    source = models.CharField(max_length=10, choices=Source, default=Source.PHONE)
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)

    # The bytes. `sent_sha256` makes a repeated PUT recognisable; `sha256` names what is stored, without metadata.
    sent_sha256 = models.CharField(max_length=64, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    content_type = models.CharField(max_length=20, editable=False)
    bytes = models.PositiveIntegerField(editable=False)
    width = models.PositiveIntegerField(help_text="pixels, upright")
    height = models.PositiveIntegerField(help_text="pixels, upright")
    orientation = models.PositiveSmallIntegerField(default=1, help_text="EXIF orientation, 1-8; what is derived is upright")
    taken_hour = models.DateTimeField(null=True, blank=True, help_text="capture time as the phone said, to the hour")
    device_model = models.CharField(max_length=80, blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    consent_version = models.CharField(max_length=20, editable=False)
    licence = models.CharField(max_length=20, editable=False)

    # What the worker derived (collector.develop).
    view_sha256 = models.CharField(max_length=64, blank=True, editable=False, help_text="upright, about 1000 px")
    thumbnail_sha256 = models.CharField(max_length=64, blank=True, editable=False, help_text="upright, 320 px")
    phash_0 = models.PositiveIntegerField(null=True, editable=False)
    phash_1 = models.PositiveIntegerField(null=True, editable=False)
    phash_2 = models.PositiveIntegerField(null=True, editable=False)
    phash_3 = models.PositiveIntegerField(null=True, editable=False)
    cluster = models.UUIDField(null=True, editable=False, help_text="the first photo of its near-duplicates")
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)  # also the fencing token of the image work
    lease_until = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(max_length=200, blank=True, editable=False)

    # Fixed when it is accepted for the first time (collector.moderation), never changed afterwards.
    split = models.CharField(max_length=10, choices=Split, blank=True, editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["received_at", "id"]
        indexes = [
            # The moderators' queue and the night's snapshot both read one recognizer's photos of one state, oldest first.
            models.Index(fields=["recognizer", "state", "received_at"], name="photo_queue"),
            # What the sweeper looks for every few seconds; partial, so it stays as small as the backlog.
            models.Index(fields=["received_at"], name="photo_undeveloped", condition=Q(state="received")),
            # A volunteer's own photos, and the kin that share a split.
            models.Index(fields=["volunteer", "recognizer", "split"], name="photo_kin"),
            models.Index(fields=["cluster"], name="photo_cluster"),
            # Is this blob still somebody's? Asked before bytes are removed.
            models.Index(fields=["sha256"], name="photo_digest"),
            # Every public picture is asked for by its digest. Not partial: SQLite would not use it for an equality.
            models.Index(fields=["view_sha256"], name="photo_view"),
            models.Index(fields=["thumbnail_sha256"], name="photo_thumbnail"),
            # One index a band: a near-duplicate within 7 bits agrees with at least one band to within one bit.
            *(models.Index(fields=["recognizer", f"phash_{band}"], name=f"photo_band_{band}") for band in range(HASH_BANDS)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(orientation__range=(1, 8)), name="orientation_is_exif"),
            models.CheckConstraint(
                condition=~Q(state="accepted") | (Q(label__isnull=False) & ~Q(split="") & Q(accepted_at__isnull=False)),
                name="accepted_has_label_and_split",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claimed} ({str(self.id)[:8]})"

    @property
    def alt(self) -> str:
        """What a screen reader says for this photo."""
        label = self.label or self.claimed
        where = f" {self.challenge.setting}" if self.challenge else ""
        return f"{label.name}{where}, photographed by {self.volunteer.name}"


class Decision(models.Model):
    """A moderator's verdict on a photo. Rows are only added; the newest one counts."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept", "accept"
        REJECT = "reject", "reject"
        RELABEL = "relabel", "accept with another label"

    class Reason(models.TextChoices):
        NONE = "", "no reason needed"
        WRONG_OBJECT = "wrong-object", "shows something else"
        UNCLEAR = "unclear", "cannot be recognised by anyone"
        PERSON = "person", "shows a person"
        PRIVATE = "private", "shows private data"
        COPIED = "copied", "not the volunteer's own photo"
        WRONG_LABEL = "wrong-label", "has the wrong label"

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="decisions")
    moderator = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    verdict = models.CharField(max_length=10, choices=Verdict)
    label = models.ForeignKey(Label, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    decided_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["decided_at", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(verdict="relabel") | Q(label__isnull=False), name="relabel_names_a_label"),
            models.CheckConstraint(condition=~Q(verdict="reject") | ~Q(reason=""), name="reject_says_why"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.photo_id}"


class Allowance(models.Model):
    """How much of a daily limit one subject has used: counted by one conditional UPDATE (collector.limits)."""

    subject = models.CharField(max_length=120)  # "photos:<volunteer>", "registrations:<address hash>", …
    day = models.DateField()
    used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "day"], name="one_allowance_a_day")]

    def __str__(self) -> str:
        return f"{self.subject} {self.day}: {self.used}"


class Erasure(models.Model):
    """A volunteer's or photo's removal and its receipt: what was removed and which releases had learned from it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    volunteer = models.ForeignKey(Volunteer, models.PROTECT, related_name="erasures")
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    photos = models.PositiveIntegerField(editable=False)
    receipt = models.JSONField(default=dict, editable=False)

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d}: {self.photos} photos"


class ImportJob(models.Model):
    """An owner's import through the admin: who confirmed the right to give these photos, and how far it is.

    `files`: the browser sends photo by photo. `zip`: the browser sends pieces of an archive, then a worker takes its members
    in order; the row says at which member it is (`done`), so that a killed worker's successor goes on there.
    """

    class Kind(models.TextChoices):
        FILES = "files", "files"
        ZIP = "zip", "zip"

    class State(models.TextChoices):
        SENDING = "sending", "being sent by the browser"
        WORKING = "working", "being worked through"
        DONE = "done", "done"
        STOPPED = "stopped", "stopped"
        FAILED = "failed", "failed"

    OPEN = (State.SENDING, State.WORKING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.SENDING)
    problem = models.CharField(max_length=300, blank=True, help_text="why it failed or was stopped")
    # The slug, no key: a recognizer is made by its first photo, not by an import that turns out to hold none.
    recognizer_slug = models.SlugField(max_length=50)
    recognizer_name = models.CharField(max_length=80)
    accept = models.BooleanField(default=False, help_text="accepted at once, without another look")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    licence = models.CharField(max_length=20, help_text="under which its user confirmed the right to give the photos")
    confirmed_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    total = models.PositiveIntegerField(default=0)  # files that were chosen, or members of the zip that may be photos
    done = models.PositiveIntegerField(default=0)  # with a zip also the number of the next member
    new = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    pieces = models.PositiveIntegerField(default=0, editable=False)  # of the zip, in the store until it is tidied away
    zip_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)  # raised by each claim: an overtaken worker writes nothing
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)  # at the member in hand
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-confirmed_at", "id"]
        indexes = [
            # What the sweeper looks for every few seconds; partial, so it stays as small as the open imports.
            models.Index(fields=["confirmed_at"], name="import_open", condition=Q(state__in=("sending", "working"))),
            # Ended imports whose pieces still lie in the store.
            models.Index(fields=["ended_at"], name="import_untidy", condition=Q(pieces__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.recognizer_name}, {self.confirmed_at:%Y-%m-%d %H:%M}"

    @property
    def open(self) -> bool:
        return self.state in self.OPEN


class ImportRefusal(models.Model):
    """A file that an import did not take, and why. Rows, not a list in the job: three files may be refused at a time."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="refusals")
    name = models.CharField(max_length=300)
    why = models.CharField(max_length=300)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"
