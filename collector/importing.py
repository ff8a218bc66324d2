"""INTAKE for owners of photos: folders or zips of label folders go through the same verb as phones, one file at a time."""

import hashlib
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from collector.body import Readable
from collector.develop import develop
from collector.errors import NotAnAllowedFormat, NotDecidable, PhotoTooLarge
from collector.intake import receive
from collector.models import Label, Photo, Recognizer, Volunteer
from collector.moderation import decide
from collector.strip import format_of, strip
from config.errors import Problem

INFLATE_BYTES = 64 * 2**10  # bytes read of a file at a time: a bomb goes no further past the limit
NAMESPACE = UUID("b60a5c6c-6d0c-4f0e-9d6f-0b8a3f2f7d11")  # fixed: importing a folder again finds the same photos again
LITTER = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}  # what systems leave beside photos; so are names with a first dot
LABEL_LETTERS = 80  # of a label's name and slug, in the row
LOOK_AGAIN_S = 0.2  # seconds between two looks at a photo that another worker is decoding


class NothingToImport(Problem):
    status, code, title = 422, "nothing-to-import", "There are no label folders with photos."


class NoLabel(Problem):
    status, code, title = 422, "no-label", "The file's folder names no label."


class SplitNeedsAcceptance(Problem):
    status, code, title = 422, "split-needs-acceptance", "A split is fixed when a photo is accepted, and not before."


class BeingDecoded(Problem):
    status, code, title = 409, "being-decoded", "A worker is decoding this photo; it cannot be accepted yet."


class Source(Protocol):
    """Files to import: `names` are `…/<label>/<file>`, in the order they are taken; `read` gives the bytes of one."""

    names: list[str]

    def read(self, number: int, /) -> bytes: ...


@dataclass(frozen=True)
class Plan:
    """What all files of one import share. `moderator` is whose decision it is if `accept` is set; None: the command's.

    `split` is where all of them shall lie, "" for the usual shares. Raises SplitNeedsAcceptance where they would wait.
    """

    slug: str
    name: str
    accept: bool = False
    moderator: User | None = None
    split: str = ""

    def __post_init__(self) -> None:
        if self.split and not self.accept:
            raise SplitNeedsAcceptance("Accept the photos at once, or let the usual shares decide.")


class Outcome(NamedTuple):
    photo_id: UUID
    label: str  # slug
    new: bool
    accepted: bool  # now, by this import
    split: str  # "" until it is accepted


@dataclass
class Imported:
    """What an import did; `refused` names each file and why, `elsewhere` each that is not in the split it was meant for."""

    new: int = 0
    known: int = 0
    accepted: int = 0
    per_label: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.new or self.known)


def import_one(*, plan: Plan, name: str, body: bytes) -> Outcome:
    """Take in one file called `…/<label>/<file>`; recognizer and label are made if they are missing and it is a photo.

    The photo's UUID comes from its bytes and label: the same file again is `known`, whichever way it comes. With
    `plan.accept` it is decoded and accepted at once. Raises NoLabel, BeingDecoded (try again), NotDecidable (taken in, but it
    does not decode) and what `collector.intake.receive` raises.
    """
    label = _label(plan, label_name(name), body)
    digest = hashlib.sha256(body).hexdigest()
    photo, new = receive(
        photo_id=uuid5(NAMESPACE, f"{plan.slug}/{label.slug}/{digest}"),
        volunteer=_owner(label.recognizer),
        recognizer=label.recognizer,
        label=label,
        challenge=None,
        body=body,
        source=Photo.Source.IMPORT,
    )
    accepted = plan.accept and _accept(photo, plan)
    return Outcome(photo.pk, label.slug, new, accepted, photo.split)


def import_photos(
    *,
    source: Source,
    plan: Plan,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Import every file of `source`, here and now. Safe to repeat and to interrupt. Raises NothingToImport."""
    if not source.names:
        raise NothingToImport("It should hold one folder per label, with the label's photos in it: <label>/<photo>.jpg.")
    result = Imported()
    for number, name in enumerate(source.names):
        try:
            outcome = _patiently(plan, name, source.read(number))
        except Problem as problem:
            result.refused.append((name, problem.detail))
        else:
            result.new += outcome.new
            result.known += not outcome.new
            result.accepted += outcome.accepted
            result.per_label[outcome.label] += 1
            if plan.split and outcome.split != plan.split:
                result.elsewhere.append((name, _why_elsewhere(outcome.split)))
        progress(number + 1, len(source.names))
    return result


class Folder:
    """The files under a folder, at any depth."""

    def __init__(self, root: Path) -> None:
        self.root = root
        found = (Path(folder) / file for folder, _, files in os.walk(root) for file in files)
        self.names = sorted(name for path in found if is_wanted(name := path.relative_to(root).as_posix()))

    def read(self, number: int) -> bytes:
        """Raises PhotoTooLarge."""
        with (self.root / self.names[number]).open("rb") as file:
            return read_at_most(file)


def read_at_most(file: Readable) -> bytes:
    """The whole file, but never more than PHOTO_MAX_BYTES of it in memory: what is announced may lie. Raises PhotoTooLarge."""
    body = bytearray()
    while chunk := file.read(INFLATE_BYTES):
        body += chunk
        if len(body) > settings.PHOTO_MAX_BYTES:
            raise PhotoTooLarge(f"It has more than {settings.PHOTO_MAX_BYTES} bytes.", most=settings.PHOTO_MAX_BYTES)
    return bytes(body)


def is_wanted(name: str) -> bool:
    """Whether `name` may be a photo that its owner means; what systems leave behind is not even refused."""
    return bool(name) and not any((part.startswith(".") and part != "..") or part.lower() in LITTER for part in parts_of(name))


def parts_of(name: str) -> list[str]:
    """The names between slashes of either kind. A name is only ever taken apart: it never becomes a path on a disk."""
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def label_name(name: str) -> str:
    """The name of the folder that holds the file, as people may read it. Raises NoLabel."""
    parts = parts_of(name)
    if ".." in parts:
        raise NoLabel("Its name leads out of its folder.")
    if len(parts) < 2:
        raise NoLabel("It lies in no folder; a folder's name is the label of the photos in it.")
    # NFC: macOS hands out decomposed letters. Unprintable ones include those that turn the direction of writing.
    label = "".join(letter for letter in unicodedata.normalize("NFC", parts[-2]) if letter.isprintable()).strip()
    slug = slugify(label, allow_unicode=True)
    if not slug:
        raise NoLabel("Its folder's name has no letter or digit.")
    if max(len(label), len(slug)) > LABEL_LETTERS:  # the slug may be the longer one: one Arabic ligature becomes 18 letters
        raise NoLabel(f"Its folder's name is longer than {LABEL_LETTERS} characters.")
    return label


def begins_like_a_photo(file: Path) -> bool:
    """Whether the first bytes are those of an allowed format."""
    with file.open("rb") as opened:
        head = opened.read(16)
    try:
        format_of(head)
    except NotAnAllowedFormat:
        return False
    return True


def prepare_recognizer(*, slug: str, names: list[str], name: str = "") -> tuple[Recognizer, dict[str, Label]]:
    """The recognizer and a label per name, made where they are missing; positions of existing labels stay as they are."""
    name = name or slug.replace("-", " ").capitalize()
    with transaction.atomic():
        recognizer, _ = Recognizer.objects.get_or_create(slug=slug, defaults={"name": name})
        Recognizer.objects.filter(pk=recognizer.pk).update(turn=F("turn") + 1)  # two makers of labels would meet at a position
        labels = {label.slug: label for label in recognizer.labels.all()}
        free = max((label.position for label in labels.values()), default=-1) + 1
        for each in names:
            key = slugify(each, allow_unicode=True)
            if key not in labels:
                labels[key] = Label.objects.create(recognizer=recognizer, slug=key, name=each.replace("-", " "), position=free)
                free += 1
    return recognizer, {each: labels[slugify(each, allow_unicode=True)] for each in names}


def _label(plan: Plan, name: str, body: bytes) -> Label:
    known = Label.objects.filter(recognizer__slug=plan.slug, slug=slugify(name, allow_unicode=True))
    if label := known.select_related("recognizer").first():
        return label
    strip(body)  # raises: a folder of notes makes no label, it takes a photo
    return prepare_recognizer(slug=plan.slug, name=plan.name, names=[name])[1][name]


def _owner(recognizer: Recognizer) -> Volunteer:
    """The volunteer row that imports of this recognizer belong to; nobody can log in with it."""
    owner, _ = Volunteer.objects.get_or_create(
        id=uuid5(NAMESPACE, recognizer.slug),
        defaults={
            "token_hash": f"import:{recognizer.slug}",  # the hash of no token
            "consent_version": settings.CONSENT_VERSION,
            "consented_at": timezone.now(),
        },
    )
    return owner


def _accept(photo: Photo, plan: Plan) -> bool:
    """Decode and accept; False where it was decided before, by whomever: their decision stands. `photo` is read anew."""
    develop(photo_id=photo.pk)
    photo.refresh_from_db()
    if photo.state == Photo.State.RECEIVED:
        raise BeingDecoded("Try again in a moment.", retry_after_s=1)
    if photo.state == Photo.State.BROKEN:
        raise NotDecidable(f"It was taken in, but {photo.problem}.")
    if photo.state != Photo.State.PENDING:
        return False
    try:
        decide(
            photo_id=photo.pk,
            moderator=plan.moderator,
            verdict="accept",
            seen_state=Photo.State.PENDING,
            split=plan.split,
        )
    except NotDecidable:
        return False
    photo.refresh_from_db()
    return True


def _why_elsewhere(split: str) -> str:
    if split == Photo.Split.NONE:
        return "left out: it looks like a photo of another split, and no photo ever changes its split"
    return f"it lies in {split} since it was first accepted, and stays" if split else "it was rejected before, and stays so"


def _patiently(plan: Plan, name: str, body: bytes) -> Outcome:
    """`import_one`, waiting for a worker that has just seen the photo and decodes it; its lease bounds the wait."""
    deadline = time.monotonic() + settings.DEVELOP_LEASE_S * settings.DEVELOP_ATTEMPTS
    while True:
        try:
            return import_one(plan=plan, name=name, body=body)
        except BeingDecoded:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_S)
