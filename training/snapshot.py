"""SNAPSHOT: the accepted photos of this moment, frozen as JSON lines that are named by their own SHA-256."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Min

from collector.models import Label, Photo, Recognizer
from collector.storage import MissingObject, put_blob, store
from training.errors import CorruptSnapshot, EmptySnapshot, NothingHeldOut, TooFewPhotos
from training.models import Release, Run, Snapshot

KIND = "snapshots"
SPLITS = (Photo.Split.TRAIN, Photo.Split.VALIDATION, Photo.Split.TEST)  # photos of Split.NONE are left out
LEAST_LABELS = 2  # with one class there is nothing to tell apart
log = structlog.get_logger()


@dataclass(frozen=True)
class Entry:
    """One photo of a snapshot. `view` is a store key, `label` a slug, `group` a pseudonym that never straddles splits."""

    photo: str
    view: str
    sha256: str
    label: str
    split: str
    group: str


@dataclass(frozen=True)
class Classes:
    """What a night tells apart: ordered label slugs with enough training photos, and the others with their counts."""

    labels: list[str]
    dropped: dict[str, int]


@dataclass(frozen=True)
class Holding:
    """Where some photos went: digests of snapshots, ids of runs, and names of releases, oldest first."""

    snapshots: list[str]
    runs: list[int]
    releases: list[str]


def take(*, recognizer: Recognizer) -> Snapshot:
    """Freeze the recognizer's accepted photos. The same photos give the same digest and the same row. Raises EmptySnapshot."""
    entries = _entries(recognizer)
    if not entries:
        raise EmptySnapshot(f"{recognizer.name} has no accepted photo. Accept some in the review queue.")
    digest = put_blob(KIND, as_lines(entries))
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for entry in entries:
        counts[entry.split][entry.label] += 1
    snapshot, _ = Snapshot.objects.get_or_create(
        recognizer=recognizer, digest=digest, defaults={"photos": len(entries), "counts": counts}
    )
    return snapshot


def read(snapshot: Snapshot) -> list[Entry]:
    """The entries, sorted by photo id. Raises CorruptSnapshot where the stored bytes are missing or not what was frozen."""
    try:
        lines = store().get(f"{KIND}/{snapshot.digest}")
    except MissingObject:
        raise CorruptSnapshot("The store does not have it.", digest=snapshot.digest) from None
    if hashlib.sha256(lines).hexdigest() != snapshot.digest:
        raise CorruptSnapshot(digest=snapshot.digest)
    return [Entry(**json.loads(line)) for line in lines.splitlines()]


def as_lines(entries: Iterable[Entry]) -> bytes:
    """Canonical JSON lines (UTF-8, keys sorted, no blanks): the same entries are the same bytes on every machine."""
    lines = (json.dumps(asdict(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False) for entry in entries)
    return "".join(f"{line}\n" for line in lines).encode()


def classes(entries: Sequence[Entry], labels: Sequence[Label]) -> Classes:
    """The labels that can be learned tonight, in their order. Raises TooFewPhotos, NothingHeldOut.

    A label with fewer than MIN_PHOTOS_PER_LABEL training photos is dropped, not learned badly. Each class needs no photo of its
    own in validation and test, but those splits as a whole must not be empty: nothing could be chosen or judged.
    """
    counts = Counter(entry.label for entry in entries if entry.split == Photo.Split.TRAIN)
    enough = [label.slug for label in labels if counts[label.slug] >= settings.MIN_PHOTOS_PER_LABEL]
    dropped = {label.slug: counts[label.slug] for label in labels if label.slug not in set(enough)}
    if len(enough) < LEAST_LABELS:
        raise TooFewPhotos(
            f"Each label needs {settings.MIN_PHOTOS_PER_LABEL} training photos, and only {len(enough)} of {len(labels)} "
            f"{'has' if len(enough) == 1 else 'have'} them: {too_few(dropped)}.",
            counts=dropped,
            needed=settings.MIN_PHOTOS_PER_LABEL,
        )
    for split in (Photo.Split.VALIDATION, Photo.Split.TEST):
        if not any(entry.split == split and entry.label in enough for entry in entries):
            raise NothingHeldOut(
                f"No photo of {len(enough)} labels is in the {split} split. More photos of other volunteers fill it.",
                split=split,
            )
    return Classes(enough, dropped)


def too_few(dropped: dict[str, int], *, most: int = 5) -> str:
    """ "banknote (2), coin (0) and 7 more": labels with their counts of training photos, for a message."""
    named = [f"{slug} ({count})" for slug, count in dropped.items()]
    rest = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + rest


def containing(photo_ids: Sequence[UUID]) -> Holding:
    """Which snapshots, runs and releases hold any of these photos, by reading the snapshot files.

    A snapshot that cannot be read counts as holding them: a receipt rather names one too many.
    """
    photos = Photo.objects.filter(pk__in=photo_ids, accepted_at__isnull=False)
    first = photos.aggregate(first=Min("accepted_at"))["first"]
    if first is None:  # never accepted: in no snapshot
        return Holding([], [], [])
    # Older snapshots cannot hold them; without this, each withdrawal would read every file since the first night.
    recognizers = photos.values("recognizer")
    candidates = Snapshot.objects.filter(taken_at__gte=first, recognizer__in=recognizers).order_by("taken_at", "pk")
    wanted = {str(photo_id) for photo_id in photo_ids}
    found = [snapshot for snapshot in candidates if _holds(snapshot, wanted)]
    runs = Run.objects.filter(snapshot__in=found).order_by("pk")
    releases = Release.objects.filter(run__in=runs).select_related("recognizer").order_by("recognizer", "version")
    return Holding([item.digest for item in found], [run.pk for run in runs], [str(release) for release in releases])


def _holds(snapshot: Snapshot, wanted: set[str]) -> bool:
    try:
        return any(entry.photo in wanted for entry in read(snapshot))
    except CorruptSnapshot:
        log.exception("snapshot unreadable", digest=snapshot.digest)
        return True


def _entries(recognizer: Recognizer) -> list[Entry]:
    accepted = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, split__in=SPLITS)
    rows = accepted.exclude(view_sha256="").select_related("label").only(
        "id", "view_sha256", "sha256", "label__slug", "split", "source", "cluster", "volunteer"
    )  # fmt: skip
    entries = []
    for photo in rows.iterator(chunk_size=2000):
        assert photo.label is not None  # the constraint accepted_has_label_and_split
        entries.append(
            Entry(str(photo.pk), f"views/{photo.view_sha256}", photo.sha256, photo.label.slug, photo.split, _group(photo))
        )
    return sorted(entries, key=lambda entry: entry.photo)


def _group(photo: Photo) -> str:
    """Volunteer and cluster for phones, the cluster alone for imports: nobody's kitchen can leak from an import.

    A volunteer's id is random (122 bits), so its plain SHA-256 cannot be guessed back; 16 digits keep a million apart.
    """
    cluster = str(photo.cluster or photo.pk)
    if photo.source == Photo.Source.IMPORT:
        return cluster
    return f"{hashlib.sha256(f'snapshot group {photo.volunteer_id}'.encode()).hexdigest()[:16]}/{cluster}"
