"""SNAPSHOT: the accepted photos of this moment, frozen as JSON lines that are named by their own SHA-256."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min

from collector.models import Decision, Label, Photo, Recognizer
from collector.storage import MissingObject, put_blob, store
from training.errors import Contended, CorruptSnapshot, EmptySnapshot, NothingHeldOut, TooFewPhotos
from training.models import Snapshot

KIND = "snapshots"
SPLITS = (Photo.Split.TRAIN, Photo.Split.VALIDATION, Photo.Split.TEST)  # photos of Split.NONE are left out
LEAST_LABELS = 2  # with one class there is nothing to tell apart
TRIES = 5  # of a snapshot during which photos are withdrawn; reading a hundred thousand rows takes seconds
DECISION_MARGIN = timedelta(minutes=10)  # longer than reading the photos of a snapshot takes


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


def take(*, recognizer: Recognizer) -> Snapshot:
    """Freeze the recognizer's accepted photos. The same photos give the same digest and the same row. Raises EmptySnapshot,
    Contended."""
    for _ in range(TRIES):
        withdrawn = _withdrawn(recognizer)
        entries = _entries(recognizer)
        if not entries:
            raise EmptySnapshot(f"{recognizer.name} has no accepted photo. Accept some in the review queue.")
        digest = put_blob(KIND, as_lines(entries))
        with transaction.atomic():
            # A withdrawal takes the same turn. Either it comes first, and we see it here and look again; or it comes after this
            # row, and its receipt names it.
            Recognizer.objects.filter(pk=recognizer.pk).update(turn=F("turn") + 1)
            if _withdrawn(recognizer) == withdrawn:
                return _row(recognizer, digest, entries)
    raise Contended(f"{TRIES} times a photo was withdrawn while the list was made. Start the night again.")


def _withdrawn(recognizer: Recognizer) -> int:
    return Photo.objects.filter(recognizer=recognizer, state=Photo.State.WITHDRAWN).count()


def _row(recognizer: Recognizer, digest: str, entries: Sequence[Entry]) -> Snapshot:
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
    own in the test split, but that as a whole must not be empty: nothing could be judged.
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
    if not any(entry.split == Photo.Split.TEST and entry.label in enough for entry in entries):
        raise NothingHeldOut(
            f"No photo of {len(enough)} labels is in the test split. More photos of other volunteers fill it.", split="test"
        )
    return Classes(enough, dropped)


def too_few(dropped: dict[str, int], *, most: int = 5) -> str:
    """ "banknote (2), coin (0) and 7 more": labels with their counts of training photos, for a message."""
    named = [f"{slug} ({count})" for slug, count in dropped.items()]
    rest = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + rest


def containing(photo_ids: Sequence[UUID]) -> list[str]:
    """Digests of the snapshots that hold any of these photos, oldest first; told by rows, no file is read.

    A photo that is accepted is in every snapshot until it is rejected or withdrawn, so its decisions say which. A rejection
    counts only DECISION_MARGIN later: the list may have been read just before it. A receipt rather names one too many.
    """
    photos = Photo.objects.filter(pk__in=photo_ids, accepted_at__isnull=False, split__in=SPLITS).order_by()
    rejected = set(Decision.objects.filter(photo__in=photos, verdict="reject").values_list("photo", flat=True))
    found: dict[int, Snapshot] = {}
    # Most were never rejected: of those only the first one of each recognizer matters.
    for recognizer, first in photos.exclude(pk__in=rejected).values_list("recognizer").annotate(Min("accepted_at")):
        found |= Snapshot.objects.filter(recognizer=recognizer, taken_at__gte=first).in_bulk()
    for photo in photos.filter(pk__in=rejected).only("recognizer", "accepted_at"):
        for begin, end in _accepted_spans(photo):
            spanned = Snapshot.objects.filter(recognizer=photo.recognizer_id, taken_at__gte=begin)
            found |= (spanned.filter(taken_at__lt=end + DECISION_MARGIN) if end else spanned).in_bulk()
    return [snapshot.digest for snapshot in sorted(found.values(), key=lambda each: (each.taken_at, each.pk))]


def _accepted_spans(photo: Photo) -> list[tuple[datetime, datetime | None]]:
    """[from, until) in which the photo was accepted; None: to the end."""
    spans: list[tuple[datetime, datetime | None]] = []
    begin = photo.accepted_at
    for verdict, decided_at in photo.decisions.order_by("decided_at", "pk").values_list("verdict", "decided_at"):
        if verdict != "reject":
            begin = begin or decided_at
        elif begin and decided_at > begin:
            spans.append((begin, decided_at))
            begin = None
    return [*spans, (begin, None)] if begin else spans


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
