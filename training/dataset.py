"""SNAPSHOT → people: the photos of a snapshot as files that other tools read: label folders, COCO-style JSON, or TFRecord.

What is written are the stored views (upright JPEG, about 1000 pixels, no metadata), named by the photos' random ids. It may be
interrupted and repeated: what is there stays, what is missing is added, and photos that may not be there any more go.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from collector.models import Photo, Recognizer
from collector.storage import MissingObject, store
from config.files import PART, write_whole
from training import snapshot
from training.croissant import address_of
from training.errors import LostPhoto, OtherExport, UnknownSnapshot
from training.models import Snapshot
from training.snapshot import Entry

FORMATS = ("folders", "coco", "tfrecord")
MARK = ".photorally-export.json"  # says which export a folder holds; an import passes over names with a first dot
SHARD_PHOTOS = 500  # photos of a TFRecord file, about: some 75 MB, of which a hundred may be read side by side
BATCH = 1000  # photos a statement carries
Progress = Callable[[int, int], None]


@dataclass
class Exported:
    """What an export did. `left_out`: photo id → its state today, of those that are not accepted any more."""

    folder: Path
    digest: str
    written: int = 0
    kept: int = 0  # were there already
    removed: int = 0  # had been written before they were withdrawn or rejected
    per_split: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def export(
    *,
    recognizer: Recognizer,
    folder: Path,
    form: str,
    digest: str = "",
    splits: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Exported:
    """Write the photos of a snapshot (`digest` or its beginning; "": the one that `folder` was
    begun with, else a new one) of these splits (none: all).

    Raises UnknownSnapshot, OtherExport (the folder holds something else), LostPhoto, and what taking a snapshot raises.
    """
    digest = digest or str(_mark(folder).get("snapshot", ""))  # begun before: the same command goes on with it
    frozen = find(recognizer, digest) if digest else snapshot.take(recognizer=recognizer)
    entries = [entry for entry in snapshot.read(frozen) if not splits or entry.split in splits]
    wanted = {"snapshot": frozen.digest, "format": form, "splits": sorted(splits or snapshot.SPLITS)}
    _claim(folder, {"recognizer": recognizer.slug, **wanted})
    result = Exported(folder, frozen.digest, left_out=_gone(entries))
    living = [entry for entry in entries if entry.photo not in result.left_out]
    writer = {"folders": _folders, "coco": _coco, "tfrecord": _tfrecord}[form]
    writer(Job(recognizer, frozen, folder, entries, result, progress), living)
    for entry in living:
        result.per_split[entry.split] = result.per_split.get(entry.split, 0) + 1
    return result


def find(recognizer: Recognizer, digest: str) -> Snapshot:
    """The one snapshot whose digest begins like this. Raises UnknownSnapshot."""
    found = list(Snapshot.objects.filter(recognizer=recognizer, digest__startswith=digest.lower())[:2])
    if len(found) != 1:
        known = Snapshot.objects.filter(recognizer=recognizer).values_list("digest", flat=True)[:3]
        names = ", ".join(each[:12] for each in known) or "none yet"
        many = "Several snapshots begin" if found else "No snapshot begins"
        raise UnknownSnapshot(f"{many} with {digest!r}. The newest: {names}.", digest=digest)
    return found[0]


@dataclass(frozen=True)
class Job:
    """What all formats need."""

    recognizer: Recognizer
    snapshot: Snapshot
    folder: Path
    entries: Sequence[Entry]
    result: Exported
    progress: Progress

    def view(self, entry: Entry) -> bytes | None:
        """The photo's bytes; None, and named, where it was withdrawn just now. Raises LostPhoto."""
        try:
            return store().get(entry.view)
        except MissingObject:
            gone = _gone([entry])
            if not gone:
                detail = f"The store has lost the view of photo {entry.photo}. Restore it from a backup and start again."
                raise LostPhoto(detail, photo=entry.photo) from None
            self.result.left_out |= gone
            return None


# ---- folders -----------------------------------------------------------------------------------------------------
def _folders(job: Job, living: list[Entry]) -> None:
    """<split>/<label>/<photo>.jpg: what torchvision, Keras and `manage.py import_photos` read."""
    _write_pictures(job, living, lambda entry: job.folder / entry.split / entry.label / f"{entry.photo}.jpg")


def _write_pictures(job: Job, living: list[Entry], place: Callable[[Entry], Path]) -> None:
    """A file for each photo that has none yet; `living` loses what is withdrawn meanwhile."""
    for path in {place(entry).parent for entry in job.entries}:
        path.mkdir(parents=True, exist_ok=True)
        for part in path.glob(f"*{PART}"):  # of an export that was killed
            part.unlink()
    for done, entry in enumerate(living, start=1):
        path = place(entry)
        if path.exists():
            job.result.kept += 1
        elif (data := job.view(entry)) is not None:
            write_whole(path, data)
            job.result.written += 1
        job.progress(done, len(living))
    job.result.left_out |= _gone(living)  # looked at last: what was withdrawn while we wrote goes at once
    for entry in job.entries:
        if entry.photo in job.result.left_out and place(entry).exists():
            place(entry).unlink()
            job.result.removed += 1
    living[:] = [entry for entry in living if entry.photo not in job.result.left_out]


# ---- COCO --------------------------------------------------------------------------------------------------------
def _coco(job: Job, living: list[Entry]) -> None:
    """<split>/<photo>.jpg and annotations/<split>.json: COCO's format, an annotation a photo, without boxes."""
    _write_pictures(job, living, lambda entry: job.folder / entry.split / f"{entry.photo}.jpg")
    (job.folder / "annotations").mkdir(exist_ok=True)
    licences = _licences(living)
    numbers = {name: number for number, name in enumerate(sorted(set(licences.values())), start=1)}
    for split in sorted({entry.split for entry in job.entries}):
        mine = [entry for entry in living if entry.split == split]
        content = _coco_of(job, split, mine, licences, numbers)
        write_whole(job.folder / "annotations" / f"{split}.json", json.dumps(content, ensure_ascii=False).encode())


def _coco_of(
    job: Job, split: str, entries: Sequence[Entry], licences: Mapping[str, str], numbers: Mapping[str, int]
) -> dict[str, Any]:
    # A label's position never changes, so its number is the same in every export; COCO counts from 1.
    labels = {label.slug: label for label in job.recognizer.labels.all()}
    images, annotations = [], []
    for number, entry in enumerate(entries, start=1):
        name = f"{split}/{entry.photo}.jpg"
        with Image.open(job.folder / name) as image:  # reads the header alone
            width, height = image.size
        facts = {"id": number, "file_name": name, "width": width, "height": height}
        images.append(facts | {"license": numbers[licences[entry.photo]], "photo": entry.photo, "sha256": entry.sha256})
        annotations.append({"id": number, "image_id": number, "category_id": labels[entry.label].position + 1})
    return {
        "info": {
            "description": f"{job.recognizer.name}, split {split} of snapshot {job.snapshot.digest}",
            "version": job.snapshot.digest,
            "year": job.snapshot.taken_at.year,
            "date_created": job.snapshot.taken_at.date().isoformat(),
        },
        "licenses": [{"id": number, "name": name, "url": address_of(name)} for name, number in numbers.items()],
        "categories": [{"id": label.position + 1, "name": slug, "supercategory": ""} for slug, label in labels.items()],
        "images": images,
        "annotations": annotations,
    }


# ---- TFRecord ----------------------------------------------------------------------------------------------------
def _tfrecord(job: Job, living: list[Entry]) -> None:
    """<split>-<shard>-of-<shards>-<digest>.tfrecord of tf.train.Example, and labels.json.

    A photo's shard follows from its id, and a file's digest from what is in it: a photo that is withdrawn later changes its own
    shard and no other.
    """
    from training.tfrecords import example, write_records

    labels = [label.slug for label in job.recognizer.labels.all()]
    write_whole(job.folder / "labels.json", json.dumps(labels, ensure_ascii=False).encode())
    index = {slug: number for number, slug in enumerate(labels)}
    shards = _shards(job.entries)
    there = {entry.photo for entry in living}
    done = 0
    for stem, all_of_it in shards.items():
        mine = [entry for entry in all_of_it if entry.photo in there]
        path = job.folder / f"{stem}-{_digest(mine)}.tfrecord"
        for old in set(job.folder.glob(f"{stem}-*")) - {path}:
            old.unlink()
            job.result.removed += old.suffix == ".tfrecord"
        if path.exists():
            job.result.kept += len(mine)
        elif mine:
            rows = ((entry, job.view(entry)) for entry in mine)
            records = (example(data, index[e.label], e.label, e.photo, e.sha256) for e, data in rows if data is not None)
            part = path.with_name(f"{path.name}{PART}")
            job.result.written += write_records(part, records)
            part.rename(path)
        done += len(mine)
        job.progress(done, len(living))


def _shards(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """File name without digest → its photos; how many shards a split has follows from the snapshot alone."""
    splits: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        splits[entry.split].append(entry)
    found: dict[str, list[Entry]] = {}
    for split, mine in sorted(splits.items()):
        count = -(-len(mine) // SHARD_PHOTOS)
        for entry in mine:
            shard = int(_digest([entry])[:8], 16) % count
            found.setdefault(f"{split}-{shard:05}-of-{count:05}", []).append(entry)
    return found


def _digest(entries: Iterable[Entry]) -> str:
    lines = "".join(f"{entry.photo} {entry.label} {entry.sha256}\n" for entry in entries)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


# ---- what may be there -------------------------------------------------------------------------------------------
def _claim(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Take an empty folder, or one that this very export was begun in. Raises OtherExport."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / MARK, json.dumps(wanted).encode())
        return
    found = _mark(folder)
    if not found:
        raise OtherExport(f"{folder} holds something that is no export. Name a new folder.", folder=str(folder))
    if found != wanted:
        differ = ", ".join(name for name in wanted if found.get(name) != wanted[name])
        detail = f"{folder} holds an export of another {differ}. Name a new folder, or the same snapshot with --snapshot."
        raise OtherExport(detail, folder=str(folder), differ=differ)


def _mark(folder: Path) -> dict[str, Any]:
    """What a folder says of the export in it; {} of any other."""
    try:
        found = json.loads((folder / MARK).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _gone(entries: Sequence[Entry]) -> dict[str, str]:
    """Photo id → state, of the entries that are not accepted any more; "deleted" where there is no row."""
    found: dict[str, str] = {}
    for batch in _batches(entry.photo for entry in entries):
        states = {str(key): state for key, state in Photo.objects.filter(pk__in=batch).values_list("pk", "state")}
        found |= {key: states.get(key, "deleted") for key in batch if states.get(key) != Photo.State.ACCEPTED}
    return found


def _licences(entries: Sequence[Entry]) -> dict[str, str]:
    found: dict[str, str] = {}
    for batch in _batches(entry.photo for entry in entries):
        found |= {str(key): licence for key, licence in Photo.objects.filter(pk__in=batch).values_list("pk", "licence")}
    return found


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    left = iter(keys)
    while batch := list(islice(left, BATCH)):
        yield batch
