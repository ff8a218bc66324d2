"""The rows of PHONE → INTAKE → MODERATION: who sent what, for which challenge, and what was decided about it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

HASH_BANDS = 4  # a photo's 64-bit perceptual hash is four columns of 16 bits
INDEXED_BANDS = 4  # a fingerprint is found by four bands of 16 bits, dealt out otherwise: see collector.duplicates


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

    class AutoAccept(models.TextChoices):
        NEVER = "", "none: a person decides about every photo"
        TRUSTED = "trusted", "those of volunteers whose photos moderators nearly always accepted"

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    active = models.BooleanField(default=True, help_text="inactive: no uploads, no nights, no editions")
    invited_only = models.BooleanField(
        default=False, help_text="closed: only volunteers with an invitation see it and send photos to it"
    )
    auto_accept = models.CharField(
        max_length=10,
        choices=AutoAccept,
        default=AutoAccept.NEVER,
        blank=True,
        help_text="which photos are accepted without a moderator; a new volunteer's first ones never are",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Raised inside a transaction to serialise what must see all of a recognizer's photos (clusters, splits): an UPDATE
    # locks the row on PostgreSQL and the file on SQLite, where SELECT … FOR UPDATE is silently dropped.
    turn = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """A code that lets volunteers in: to a closed recognizer, or to the whole installation. Only its keyed hash is kept."""

    code_hash = models.CharField(max_length=32, unique=True, editable=False)
    recognizer = models.ForeignKey(
        Recognizer, models.CASCADE, null=True, blank=True, related_name="invitations", help_text="empty: only to register"
    )
    uses_left = models.PositiveIntegerField(default=1, help_text="volunteers it can still let in")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="empty: it does not expire")
    note = models.CharField(max_length=120, blank=True, help_text="for whom it is; only moderators read it")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.note or f"invitation {self.pk}"


class Membership(models.Model):
    """A volunteer whom an invitation let into a closed recognizer."""

    volunteer = models.ForeignKey(Volunteer, models.CASCADE, related_name="memberships")
    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="memberships")
    invitation = models.ForeignKey(Invitation, models.SET_NULL, null=True, related_name="memberships")
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["volunteer", "recognizer"], name="one_membership_a_volunteer")]

    def __str__(self) -> str:
        return f"{self.volunteer} in {self.recognizer}"


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
    # None also where its cluster has FINGERPRINTS_PER_CLUSTER already (collector.duplicates).
    fingerprint = models.ForeignKey("Fingerprint", models.SET_NULL, null=True, editable=False, related_name="carriers")
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


class Fingerprint(models.Model):
    """One distinct perceptual hash of a recognizer and the cluster it leads to; what near-duplicates are looked up in.

    A row of its own, and narrow: a thousand copies of one picture add nothing to search, and a look-up reads no photo. It
    goes with the last photo that carries it (collector.duplicates.forget).
    """

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+", db_index=False)  # every index begins with it
    bits = models.BigIntegerField(help_text="the 64 bits of the hash as a signed number")
    band_0 = models.PositiveIntegerField()
    band_1 = models.PositiveIntegerField()
    band_2 = models.PositiveIntegerField()
    band_3 = models.PositiveIntegerField()
    cluster = models.UUIDField()
    photos = models.PositiveIntegerField(default=1, help_text="how many photos carry it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recognizer", "bits"], name="one_fingerprint_a_hash")]
        indexes = [
            # A look-up compares `bits` of all that share a band: with bits and id inside the index it reads no row.
            *(
                models.Index(fields=["recognizer", f"band_{band}", "bits", "id"], name=f"fingerprint_band_{band}")
                for band in range(INDEXED_BANDS)
            ),
            models.Index(fields=["cluster"], name="fingerprint_cluster"),  # how many has this cluster already?
        ]

    def __str__(self) -> str:
        return f"{self.bits & 0xFFFF_FFFF_FFFF_FFFF:016x}"


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
        AUTO = "auto", "accepted by the recognizer's rule, not by a person"

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
    """How much of one limit one subject has used in one window of time: counted by one statement (collector.limits)."""

    subject = models.CharField(max_length=120)  # "photos:<volunteer>", "registrations:<keyed hash of an address>", …
    window_s = models.PositiveIntegerField(help_text="how long the window is, in seconds")
    ends_at = models.DateTimeField(help_text="when it ends and another begins")
    most = models.PositiveIntegerField(help_text="the limit, as it was when it was last counted")
    used = models.PositiveIntegerField()

    class Meta:
        # What the counting statement's ON CONFLICT names.
        constraints = [models.UniqueConstraint(fields=["subject", "window_s", "ends_at"], name="one_allowance_a_window")]
        indexes = [models.Index(fields=["ends_at"], name="allowance_past")]  # for the duty that removes old ones

    def __str__(self) -> str:
        return f"{self.subject} until {self.ends_at}: {self.used} of {self.most}"


class Erasure(models.Model):
    """A volunteer's or photo's removal and its receipt: what was removed and which releases had learned from it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    volunteer = models.ForeignKey(Volunteer, models.PROTECT, related_name="erasures")
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    photos = models.PositiveIntegerField(editable=False)
    receipt = models.JSONField(default=dict, editable=False)

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d}: {self.photos} photos"
