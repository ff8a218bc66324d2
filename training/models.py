"""The rows of SNAPSHOT → … → RELEASE → PHONE: what a night learned from, what came of it, and what phones may get."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from collector.models import Label, Photo, Recognizer


class Workshop(Recognizer):
    """A recognizer as its owner sees it: photos in, model out. No table of its own: the admin gets a page and permissions."""

    class Meta:
        proxy = True
        verbose_name = "workshop"
        verbose_name_plural = "workshops: photos in, model out"

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """An immutable list of accepted photos with label and split, named by the SHA-256 of its JSON lines in the store."""

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="snapshots")
    digest = models.CharField(max_length=64)
    photos = models.PositiveIntegerField()
    counts = models.JSONField(default=dict, help_text="split → label slug → photos")
    taken_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-taken_at"]
        constraints = [models.UniqueConstraint(fields=["recognizer", "digest"], name="snapshot_once")]

    def __str__(self) -> str:
        return f"{self.digest[:12]} ({self.photos} photos)"


class Run(models.Model):
    """One night's attempt. The slot is unique, so two beats start one run; the fence makes a zombie's writes miss."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        RELEASED = "released", "released a new model"
        KEPT = "kept", "kept the incumbent"
        FAILED = "failed", "failed"

    FINISHED = (State.RELEASED, State.KEPT, State.FAILED)

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="runs")
    slot = models.CharField(max_length=32, help_text='the night ("2026-11-22"), or night and number for a run by hand')
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    stage = models.CharField(max_length=20, blank=True, help_text="the step it is at, or ended at")
    fence = models.PositiveIntegerField(default=0, editable=False)  # raised by each claim; every write names it
    lease_until = models.DateTimeField(null=True, blank=True)
    snapshot = models.ForeignKey(Snapshot, models.PROTECT, null=True, blank=True, related_name="runs")
    long = models.BooleanField(default=False, help_text="the weekly night that learns for longer")
    recipe = models.JSONField(default=dict)
    input_digest = models.CharField(
        max_length=64, blank=True, help_text="snapshot + recipe + backbone: same input, no new night"
    )
    started_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="followers", help_text="whose weights it began with"
    )
    weights_sha256 = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="what the next night may begin with"
    )  # the index: does this object still belong to a run?
    metrics = models.JSONField(default=dict)
    verdict = models.JSONField(default=dict, help_text="the gate's table")
    message = models.CharField(max_length=500, blank=True, help_text="one sentence: what happened")
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-queued_at"]
        constraints = [models.UniqueConstraint(fields=["recognizer", "slot"], name="one_run_a_slot")]
        indexes = [
            # The sweeper asks for unfinished runs every few seconds; partial: finished nights never slow it down.
            models.Index(fields=["lease_until"], name="run_unfinished", condition=Q(state__in=["queued", "running"]))
        ]

    def __str__(self) -> str:
        return f"{self.recognizer.slug} {self.slot}: {self.state}"


class Checkpoint(models.Model):
    """What a stage of an unfinished run came to, so that the next attempt goes on behind it; gone when the run has ended."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="checkpoints")
    stage = models.CharField(max_length=60)
    input_digest = models.CharField(
        max_length=64, help_text="the run's, when the stage was done: it holds for the same input only"
    )
    sha256 = models.CharField(max_length=64, db_index=True)  # does this object still belong to a run?
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "stage"], name="one_checkpoint_a_stage")]

    def __str__(self) -> str:
        return f"{self.run}: {self.stage}"


class Trunk(models.Model):
    """The frozen part of a network that a recognizer's photos are looked at by: two LiteRT files in the store, under `trunks/`.

    The newest one of a recognizer counts; `cut` names the views that it makes (CachedView.cut).
    """

    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="trunks")
    cut = models.CharField(max_length=64)
    front = models.CharField(max_length=64, db_index=True, help_text="a view's pixels → activations")
    embedder = models.CharField(max_length=64, db_index=True, help_text="a photo's pixels → pooled features, untrained")
    spec = models.JSONField(help_text="sizes, number of views, augmentation: all that looking at a photo needs")
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recognizer", "cut"], name="one_trunk_a_cut")]

    def __str__(self) -> str:
        return f"{self.recognizer.slug} {self.cut[:12]}"


class ViewLimits(models.Model):
    """Which random changes a recognizer's photos must not be put through in training: no mirror where there is text."""

    recognizer = models.OneToOneField(Recognizer, models.CASCADE, related_name="view_limits")
    crops = models.BooleanField("no crops", default=False, help_text="the label depends on the whole picture")
    turns = models.BooleanField("no turns", default=False, help_text="up and down tell labels apart")
    mirror = models.BooleanField("no mirror", default=False, help_text="letters or numerals tell labels apart")
    exposure = models.BooleanField("no exposure", default=False, help_text="brightness or colour tells labels apart")
    blur = models.BooleanField("no blur", default=False, help_text="fine print tells labels apart")

    class Meta:
        verbose_name = verbose_name_plural = "limits of random views"

    def __str__(self) -> str:
        return f"{self.recognizer}: {', '.join(name for name, off in self.off().items() if off) or 'none'}"

    def off(self) -> dict[str, bool]:
        """{"crops", "turns", "mirror", "exposure", "blur"}: what is switched off."""
        return {name: getattr(self, name) for name in ("crops", "turns", "mirror", "exposure", "blur")}


class Artifact(models.Model):
    """One exported file of a run, named by its SHA-256; its bytes lie in the store under `blobs/`."""

    class Format(models.TextChoices):
        FLOAT32 = "float32", "LiteRT float32 (reference)"
        FLOAT16 = "float16", "LiteRT with float16 weights"
        INT8 = "int8", "LiteRT int8 per channel, uint8 in and out"
        INT8_SMALL = "int8-small", "LiteRT int8 with a smaller input, for slow phones"
        COREML_FP16 = "coreml-fp16", "Core ML float16, converted, not executed"
        COREML_INT8 = "coreml-int8", "Core ML with 8-bit weights, converted, not executed"
        CANARIES = "canaries", "pictures by formula, for the phone's own check"

    run = models.ForeignKey(Run, models.PROTECT, related_name="artifacts")
    format = models.CharField(max_length=16, choices=Format)
    sha256 = models.CharField(max_length=64, db_index=True)  # asked on every blob download
    bytes = models.PositiveIntegerField()
    input_spec = models.JSONField(help_text="size, dtype, range, resize: all a phone needs to feed it")
    labels = models.JSONField(help_text="ordered label slugs, one per output")
    metrics = models.JSONField(default=dict)
    answers = models.JSONField(
        default=dict, help_text="how to read its answers (confidence), and what it must answer (canaries): for the manifest"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "format"], name="one_artifact_a_format")]

    def __str__(self) -> str:
        return f"{self.format} {self.sha256[:12]}"


class Release(models.Model):
    """An artifact set that phones may get. The version only rises: rolling back is a higher version of old artifacts."""

    class State(models.TextChoices):
        PUBLISHED = "published", "published"
        WITHDRAWN = "withdrawn", "withdrawn"

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="releases")
    version = models.PositiveIntegerField()
    run = models.ForeignKey(Run, models.PROTECT, related_name="releases")
    artifacts = models.ManyToManyField(Artifact, related_name="releases")
    state = models.CharField(max_length=10, choices=State, default=State.PUBLISHED)
    rolls_back_to = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    minimum_app = models.CharField(max_length=20, default="1.0")
    platforms = models.JSONField(default=list, blank=True, help_text='only for these, e.g. ["android"]; empty: for all')
    tiers = models.JSONField(default=list, blank=True, help_text="only for devices of these tiers; empty: for all")
    published_at = models.DateTimeField(default=timezone.now, editable=False)
    left_at = models.DateTimeField(null=True, editable=False, help_text="when no channel offered it any more")

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["recognizer", "version"], name="release_version_once")]

    def __str__(self) -> str:
        return f"{self.recognizer.slug} v{self.version}"


class Channel(models.Model):
    """The pointer that phones follow: which release a channel offers, to which share of devices, over which one before, and
    which one is tried beside it."""

    recognizer = models.ForeignKey(Recognizer, models.PROTECT, related_name="channels")
    name = models.SlugField(max_length=20, default="stable")
    release = models.ForeignKey(Release, models.PROTECT, related_name="+")
    previous = models.ForeignKey(Release, models.PROTECT, null=True, blank=True, related_name="+")
    rollout = models.PositiveSmallIntegerField(default=100, help_text="percent of devices; the others stay at `previous`")
    arm = models.ForeignKey(
        Release,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="tried by half of the devices that take part",
    )
    arm_percent = models.PositiveSmallIntegerField(
        default=0, help_text="percent of devices that take part, half of them as control"
    )
    arm_number = models.PositiveIntegerField(default=0, editable=False)  # each arm draws its devices anew
    earlier = models.ManyToManyField(
        Release, related_name="+", editable=False, help_text="complete releases: for phones that newer ones are not for"
    )
    automatic = models.BooleanField(
        default=False, help_text="new releases begin at the first step and go on by themselves while they are not worse"
    )
    paused = models.BooleanField(
        default=False, help_text="the ramp does not go on by itself; it is still halted if it is worse"
    )
    changed_at = models.DateTimeField(default=timezone.now)
    watched_at = models.DateTimeField(null=True, editable=False, help_text="when the reports were last looked at")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recognizer", "name"], name="one_pointer_a_channel"),
            models.CheckConstraint(condition=Q(rollout__range=(0, 100)), name="rollout_is_percent"),
            models.CheckConstraint(condition=Q(arm_percent__range=(0, 100)), name="arm_is_percent"),
        ]

    def __str__(self) -> str:
        return f"{self.recognizer.slug}/{self.name} → v{self.release.version}"


class Encoded(models.Model):
    """A released file, smaller: zstd by itself, or by `base`, a file that phones have already. Made once, by a worker; the body
    lies in the store under `encodings/`."""

    class State(models.TextChoices):
        WANTED = "wanted", "wanted"
        MADE = "made", "made"
        USELESS = "useless", "saves too little"
        FAILED = "failed", "could not be made"

    sha256 = models.CharField(max_length=64, help_text="of the file that comes out of it")
    base = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the file that it is told by; empty: by itself")
    state = models.CharField(max_length=8, choices=State, default=State.WANTED)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)  # also the fencing token of who makes it
    lease_until = models.DateTimeField(null=True, editable=False)
    body = models.CharField(max_length=64, blank=True, db_index=True)  # is this object still somebody's?
    bytes = models.PositiveIntegerField(default=0)
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "encoded files"
        constraints = [models.UniqueConstraint(fields=["sha256", "base"], name="one_body_a_pair")]  # also what requests look up

    def __str__(self) -> str:
        return f"{self.sha256[:12]} {f'by {self.base[:12]}' if self.base else 'by itself'}: {self.state}"


class AppendOnly(models.QuerySet["Move"]):
    """Rows that are only added: what an operator did cannot be made undone by another."""

    def update(self, **values: Any) -> int:
        raise TypeError("Moves are only added.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Moves are only added.")


class Move(models.Model):
    """One move of a channel: who, when, what, from where to where, and why. Only added, in the move's own transaction."""

    channel = models.ForeignKey(Channel, models.PROTECT, related_name="moves")
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    by = models.CharField(max_length=150, help_text="a user's name, a command's, a night's, or “automatic”")
    verb = models.CharField(max_length=20)
    before = models.JSONField(help_text="what the channel offered: versions and shares")
    after = models.JSONField()
    why = models.CharField(max_length=500, blank=True)

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["channel", "-made_at"], name="moves_of_a_channel")]

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d %H:%M} {self.channel.recognizer.slug}/{self.channel.name}: {self.verb} by {self.by}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("Moves are only added.")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Moves are only added.")

    def change(self) -> str:
        """ "release 4 → 5, rollout 100 → 10": what is another than before."""
        parts = [
            f"{name} {'–' if self.before.get(name) is None else self.before[name]} → {'–' if value is None else value}"
            for name, value in sorted(self.after.items())
            if self.before.get(name) != value
        ]
        return ", ".join(parts) or "nothing"

    change.short_description = "from → to"  # type: ignore[attr-defined]


class PhotoValue(models.Model):
    """What a photo was worth to a run: its KNN-Shapley value on the test photos (training.worth). The newest run counts."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="values")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="values")
    value = models.FloatField(help_text="share of accuracy on the test photos; may be negative; 0 for copies")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "photo"], name="one_value_a_run")]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.value:+.5f}"


class CachedView(models.Model):
    """A photo as the frozen part of a network sees it: all its views, float16, one object `activations/<sha256>` in the store.

    One object a photo, so that an erasure removes exactly its own.
    """

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="cached_views")
    cut = models.CharField(max_length=64, help_text="digest of backbone, layer and views: another backbone, another name")
    sha256 = models.CharField(max_length=64)
    bytes = models.PositiveIntegerField()
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["photo", "cut"], name="one_cached_view_a_cut")]
        indexes = [
            models.Index(fields=["cut"], name="cached_view_cut"),  # what an old backbone left is removed by its name
            models.Index(fields=["sha256"], name="cached_view_digest"),  # is this object still somebody's?
        ]

    def __str__(self) -> str:
        return f"{self.photo_id} at {self.cut[:12]}"


class Condition(models.Model):
    """Under which conditions a photo was taken, measured from its pixels by a run (training.conditions)."""

    photo = models.OneToOneField(Photo, models.CASCADE, related_name="condition")
    brightness = models.FloatField(help_text="mean luma, 0 to 1")
    sharpness = models.FloatField(help_text="variance of the Laplacian of the luma at the network's size")
    clutter = models.FloatField(help_text="share of strong edges outside the middle, 0 to 1")
    extent = models.FloatField(help_text="share of the picture that its subject takes, 0 to 1; small: far away")

    def __str__(self) -> str:
        return f"{self.photo_id}: brightness {self.brightness:.2f}"


class Suspect(models.Model):
    """A photo whose label a run doubts: shown to the moderators with the model's suggestion. The newest run counts."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="suspects")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="suspicions")
    given = models.ForeignKey(Label, models.CASCADE, related_name="+", help_text="its label when the run looked")
    suggested = models.ForeignKey(Label, models.CASCADE, related_name="+", help_text="what the model takes it for")
    confidence = models.FloatField(help_text="out-of-fold probability of the given label, 0 to 1: the lower, the more doubtful")

    class Meta:
        ordering = ["confidence"]
        constraints = [models.UniqueConstraint(fields=["run", "photo"], name="one_suspicion_a_run")]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.given} or {self.suggested}?"


class Fix(models.Model):
    """A held-out photo that the release before got wrong and a run's model gets right, and the new photo that helped most."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="fixes")
    mistake = models.ForeignKey(Photo, models.CASCADE, related_name="fixed_in", help_text="the held-out photo")
    photo = models.ForeignKey(
        Photo, models.CASCADE, related_name="fixes", help_text="the nearest new training photo of its label"
    )
    before = models.ForeignKey(Label, models.CASCADE, related_name="+", help_text="what the release before took it for")
    nearness = models.FloatField(help_text="cosine of the two photos' features, -1 to 1")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "mistake"], name="one_fix_a_mistake")]

    def __str__(self) -> str:
        return f"{self.photo_id} fixed {self.mistake_id}"


class FirstSight(models.Model):
    """What the released model took a photo for that it had never learned from (training.sights)."""

    photo = models.OneToOneField(Photo, models.CASCADE, related_name="first_sight")
    run = models.ForeignKey(Run, models.CASCADE, related_name="+", help_text="the night that asked the release before it")
    taken_for = models.ForeignKey(Label, models.CASCADE, related_name="+")
    own = models.FloatField(help_text="probability that it gave to the photo's label, 0 to 1")

    def __str__(self) -> str:
        return f"{self.photo_id} taken for {self.taken_for}"


class RunFile(models.Model):
    """Something a run leaves for people: a picture, a model card, a description. Its bytes lie in the store under `runs/`."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="files")
    name = models.CharField(max_length=80, help_text='as it is offered for download, e.g. "confusion.svg"')
    content_type = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64, db_index=True)  # asked on every download
    bytes = models.PositiveIntegerField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_run_file_a_name")]

    def __str__(self) -> str:
        return self.name


class Benchmark(models.Model):
    """What one device measured of one artifact. No personal data: the device is a random id it may change, and the network
    address is kept as one of 65,536 buckets, drawn anew for each file."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recognizer = models.ForeignKey(Recognizer, models.CASCADE, related_name="benchmarks")
    artifact_sha256 = models.CharField(max_length=64, db_index=True)
    version = models.PositiveIntegerField()
    device = models.CharField(max_length=64)
    device_model = models.CharField(max_length=80, blank=True)
    platform = models.CharField(max_length=20, blank=True)
    tier = models.CharField(max_length=20, blank=True)
    source = models.CharField(max_length=4, blank=True, editable=False)  # so that one address cannot outvote the others
    latency_ms = models.FloatField(help_text="median of one inference")
    cold_start_ms = models.FloatField(null=True, blank=True, help_text="from opening the file to the first answer")
    memory_mb = models.FloatField(null=True, blank=True)
    canary_accuracy = models.FloatField(null=True, blank=True)
    answers = models.PositiveIntegerField(null=True, blank=True, help_text="answers of this file that the user saw")
    corrections = models.PositiveIntegerField(null=True, blank=True, help_text="how many of them the user corrected")
    frames = models.PositiveIntegerField(null=True, blank=True, help_text="frames of videos during which an answer stood")
    frame_changes = models.PositiveIntegerField(
        null=True, blank=True, help_text="in how many of them the frame by itself said something else than the one before"
    )
    first_at = models.DateTimeField(default=timezone.now, editable=False)  # its place in the order, also when it is corrected
    reported_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-reported_at"]
        constraints = [
            # A device that retries its report counts once.
            models.UniqueConstraint(fields=["recognizer", "device", "artifact_sha256"], name="one_benchmark_a_device")
        ]
        indexes = [
            # Is there news since the watch last looked? Asked for every channel twice a second by `manage.py work`.
            models.Index(fields=["recognizer", "-reported_at"], name="newest_benchmarks")
        ]

    def __str__(self) -> str:
        return f"v{self.version} on {self.device_model or 'a device'}: {self.latency_ms:.1f} ms"
