"""INTAKE for owners of photos: a folder of label folders goes through the same verb as phones."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from collector.develop import develop
from collector.errors import NotAnAllowedFormat, NotDecidable
from collector.intake import receive
from collector.models import Label, Photo, Recognizer, Volunteer
from collector.moderation import decide
from collector.strip import format_of
from config.errors import Problem

NAMESPACE = UUID("b60a5c6c-6d0c-4f0e-9d6f-0b8a3f2f7d11")  # fixed: importing a folder again finds the same photos again


class NothingToImport(Problem):
    status, code, title = 422, "nothing-to-import", "The folder holds no label folders with photos."


@dataclass
class Imported:
    """What an import did; `refused` names each file and why."""

    new: int = 0
    known: int = 0
    accepted: int = 0
    per_label: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)


def import_photos(
    *, root: Path, recognizer_slug: str, accept: bool, progress: Callable[[int, int], None] = lambda done, total: None
) -> Imported:
    """Import `root/<label>/<photo>`; makes the recognizer and missing labels. Safe to repeat and to interrupt.

    With `accept` each photo is decoded and accepted at once, without a moderator. Raises NothingToImport.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    files = [(folder.name, file) for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]
    if not files:
        raise NothingToImport(f"{root} should look like {root}/<label>/<photo>.jpg.", folder=str(root))
    # A folder of notes makes no label: it takes one file that begins like a photo.
    names = sorted({name for name, file in files if begins_like_a_photo(file)})
    if not names:
        raise NothingToImport(f"{root} has folders, but no JPEG, PNG or WebP in them.", folder=str(root))
    recognizer, labels = prepare_recognizer(slug=recognizer_slug, names=names)
    owner = _owner(recognizer)
    result = Imported()
    for done, (name, file) in enumerate(files, start=1):
        try:
            if name not in labels:
                raise NotAnAllowedFormat("Its folder holds no photo, so it is no label.")
            _import_one(recognizer, labels[name], owner, file, accept, result)
        except Problem as problem:
            result.refused.append((str(file.relative_to(root)), problem.detail))
        progress(done, len(files))
    return result


def begins_like_a_photo(file: Path) -> bool:
    """Whether the first bytes are those of an allowed format."""
    with file.open("rb") as opened:
        head = opened.read(16)
    try:
        format_of(head)
    except NotAnAllowedFormat:
        return False
    return True


def prepare_recognizer(*, slug: str, names: list[str]) -> tuple[Recognizer, dict[str, Label]]:
    """The recognizer and a label per name, made where they are missing; positions of existing labels stay as they are."""
    with transaction.atomic():
        recognizer, _ = Recognizer.objects.get_or_create(slug=slug, defaults={"name": slug.replace("-", " ").capitalize()})
        labels = {label.slug: label for label in recognizer.labels.all()}
        for name in names:
            key = slugify(name, allow_unicode=True)
            if key not in labels:
                labels[key] = Label.objects.create(
                    recognizer=recognizer, slug=key, name=name.replace("-", " "), position=len(labels)
                )
    return recognizer, {name: labels[slugify(name, allow_unicode=True)] for name in names}


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


def _import_one(recognizer: Recognizer, label: Label, owner: Volunteer, file: Path, accept: bool, result: Imported) -> None:
    body = file.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    photo, created = receive(
        photo_id=uuid5(NAMESPACE, f"{recognizer.slug}/{label.slug}/{digest}"),
        volunteer=owner,
        recognizer=recognizer,
        label=label,
        challenge=None,
        body=body,
        sent_sha256=digest,
        source=Photo.Source.IMPORT,
    )
    result.new += created
    result.known += not created
    result.per_label[label.slug] += 1
    if accept:
        develop(photo_id=photo.pk)
        photo.refresh_from_db()
        if photo.state == Photo.State.BROKEN:
            raise NotDecidable(f"It was taken in, but {photo.problem}.")
        if photo.state == Photo.State.PENDING:
            decide(photo_id=photo.pk, moderator=None, verdict="accept")
            result.accepted += 1
