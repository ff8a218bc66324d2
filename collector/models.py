"""The rows of PHONE → INTAKE → MODERATION: who sent what, for which challenge, and what was decided about it."""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
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
    upload_side = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="pixels: phones are told that a shorter side of this size is enough; empty: as taken"
    )
    upload_quality = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="JPEG quality that is enough, 1 to 100",
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
            # What was accepted on one day, or since one: fame, ballots, editions.
            models.Index(fields=["recognizer", "accepted_at"], name="photo_accepted", condition=Q(state="accepted")),
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


class Upload(models.Model):
    """A photo on its way: in pieces (tus) or past us into the object store (direct). Its bytes are gone within the hour."""

    class Way(models.TextChoices):
        TUS = "tus", "in pieces"
        DIRECT = "direct", "into the object store"

    class State(models.TextChoices):
        OPEN = "open", "open"
        TAKEN = "taken", "the photo is taken in"
        REFUSED = "refused", "the photo was refused"
        ENDED = "ended", "ended by its phone"
        EXPIRED = "expired", "too old"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Null once the account is erased: the row outlives it until its staged bytes are removed (collector.staging.sweep).
    volunteer = models.ForeignKey(Volunteer, models.SET_NULL, null=True, related_name="uploads")
    way = models.CharField(max_length=6, choices=Way)
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    # One of UPLOADS_OPEN numbers while it is open, then null: the database itself refuses one upload too many.
    slot = models.PositiveSmallIntegerField(null=True)
    photo_id = models.UUIDField(help_text="the UUID that the phone chose; the photo's row comes when all bytes are here")
    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="+")
    claimed = models.ForeignKey(Label, models.CASCADE, related_name="+")
    challenge = models.ForeignKey(Challenge, models.SET_NULL, null=True, related_name="+")
    length = models.PositiveIntegerField(help_text="bytes announced")
    offset = models.PositiveIntegerField(default=0, help_text="bytes stored; only ever moved by UPDATE … WHERE offset = old")
    pieces = models.PositiveIntegerField(default=0)
    announced_sha256 = models.CharField(max_length=64, blank=True, help_text="of a direct upload")
    metadata = models.TextField(blank=True, help_text="Upload-Metadata as it was sent: tus wants it back")
    problem = models.JSONField(null=True, help_text="why it was refused: the problem+json of that answer")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, help_text="somebody is taking it in until then")
    hold_until = models.DateTimeField(null=True, help_text="the worker need not look before")
    sweep_at = models.DateTimeField(help_text="when its staged bytes, or at last its row, are to be removed")

    class Meta:
        indexes = [
            models.Index(fields=["sweep_at"], name="upload_sweep"),
            # What the worker looks for every few seconds: partial, as small as what is on its way.
            models.Index(fields=["created_at"], name="upload_open", condition=Q(state="open")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["volunteer", "slot"], name="upload_slot_once"),
            # Two calls for one direct upload must not become two.
            models.UniqueConstraint(
                fields=["volunteer", "photo_id"], condition=Q(way="direct", state="open"), name="direct_upload_once"
            ),
            models.CheckConstraint(condition=Q(offset__lte=models.F("length")), name="upload_not_too_long"),
        ]

    def __str__(self) -> str:
        return f"{self.way} {str(self.id)[:8]}: {self.offset} of {self.length}"


class Piece(models.Model):
    """What one PATCH brought: bytes of an upload from `offset` on, as a private object. The row is the acknowledgement."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="+")
    offset = models.PositiveIntegerField()
    bytes = models.PositiveIntegerField()
    key = models.CharField(max_length=80)

    class Meta:
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="piece_once")]

    def __str__(self) -> str:
        return f"{self.offset}+{self.bytes}"


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
    """A volunteer's or photo's removal and its receipt: what was removed, and which snapshots, runs and releases hold it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # 122 random bits: who knows it may read it
    # NULL for an erased account: its receipt is found by its own UUID alone.
    volunteer = models.ForeignKey(Volunteer, models.SET_NULL, null=True, related_name="erasures")
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    photos = models.PositiveIntegerField(editable=False)
    receipt = models.JSONField(default=dict, editable=False, help_text="as it was when it was asked for")

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d}: {self.photos} photos"


class Tombstone(models.Model):
    """What must not come back. The names are one-way: of themselves they link no photo, no bytes and no person."""

    # Of the stripped bytes of a withdrawn photo, of "photo <UUID>", or of "volunteer <UUID>" (collector.erasure).
    sha256 = models.CharField(max_length=64, unique=True, editable=False)  # asked on every upload
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.sha256[:12]


class StoreDebt(models.Model):
    """What a committed withdrawal still owes the store: an object to remove, or a tombstone to write. Gone when it is done."""

    # Not unique: a second withdrawal of the same bytes must not rely on a debt that is just being paid.
    key = models.CharField(max_length=80, editable=False, help_text="<kind>/<sha256>")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.key


class SweptFolder(models.Model):
    """One 256th of the objects of a kind, or all of them: when collector.sweeping looks at it next."""

    kind = models.CharField(max_length=20)
    prefix = models.CharField(max_length=2, help_text="the first two hex digits of a digest")  # "": all
    due_at = models.DateTimeField(db_index=True)  # asked twice a second by `manage.py work`

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "prefix"], name="folder_once")]

    def __str__(self) -> str:
        return f"{self.kind}/{self.prefix}"


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
