"""PHONE: a volunteer takes out everything that is held about them, as a zip that is made while it is sent.

Photos come first, then data.json: it says of each photo whether its file is in the zip. Nothing is kept in memory but one
photo at a time, and the zip's own directory (under a kilobyte a photo).
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from collector.erasure import described
from collector.limits import of_volunteer, spend
from collector.models import Photo, Volunteer
from collector.signals import photo_described, volunteer_described
from collector.storage import MissingObject, store

CHUNK = 64 * 2**10  # bytes of data.json that are sent at a time
PAGE = 20  # photos read from the database at a time; rows with all that hangs on them take 10 KB each
ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
README = """This is what {site} holds about you, as of {now}.

data.json   your account and consent; every photo with all that is known of it and what moderators decided; receipts of
            what you took back; newsletters that you get; and what was derived: votes you gave, your standing, editions that
            printed your photos, what your photos were worth to the models
photos/     your photos as they are stored: what your phone wrote beside the picture (the place, for one) was removed before
            they were stored and is nowhere kept

A photo whose "file" is null in data.json is not in this zip; "why" says the reason.
To take photos or everything back, use the app. {site}/api/schema/ describes the calls.
"""


def export(*, volunteer: Volunteer) -> Iterator[bytes]:
    """The zip in parts. Raises LimitReached, before anything is made."""
    spend(of_volunteer("takeouts", volunteer, settings.TAKEOUTS_PER_DAY))
    return _parts(volunteer, timezone.now())


class _Sink:
    """A file that cannot seek: zipfile then writes lengths behind the data, and we pass on what it wrote."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self, least: int = 0) -> Iterator[bytes]:
        """What was written since, if it is `least` bytes."""
        if self.parts and sum(map(len, self.parts)) >= least:
            yield b"".join(self.parts)
            self.parts.clear()


def _parts(volunteer: Volunteer, now: datetime) -> Iterator[bytes]:
    sink, missing = _Sink(), set[UUID]()
    with zipfile.ZipFile(cast(Any, sink), "w", zipfile.ZIP_STORED) as archive:  # photos are compressed already
        readme = README.format(site=settings.SITE_URL, now=f"{now:%Y-%m-%d %H:%M} UTC")
        archive.writestr(_named("README.txt", now), readme)
        for photo in _photos(volunteer):
            if photo.state == Photo.State.WITHDRAWN or photo.received_at >= now:
                continue
            try:
                data = store().get(f"originals/{photo.sha256}")
            except MissingObject:  # withdrawn since this page was read, or lost: data.json says which
                missing.add(photo.pk)
                continue
            archive.writestr(_named(_file(photo), now), data)
            yield from sink.take()
        with archive.open(_named("data.json", now), "w", force_zip64=True) as file:
            for text in _json(volunteer, missing, now):
                file.write(text.encode())
                yield from sink.take(least=CHUNK)
    yield from sink.take()


def _photos(volunteer: Volunteer) -> Iterator[Photo]:
    """By pages, each in a query of its own: a slow download must hold no cursor open. Withdrawn meanwhile: as it is then."""
    own = Photo.objects.filter(volunteer=volunteer).order_by("pk")
    rows = own.select_related("recognizer", "claimed", "label", "challenge").prefetch_related("decisions__label")
    page = list(rows[:PAGE])
    while page:
        yield from page
        page = list(rows.filter(pk__gt=page[-1].pk)[:PAGE])


def _json(volunteer: Volunteer, missing: set[UUID], now: datetime) -> Iterator[str]:
    """data.json in parts, a member of the object after the other."""
    yield '{"account": ' + _text(_account(volunteer))
    yield from _member("photos", (_described(photo, missing, now) for photo in _photos(volunteer)))
    yield from _member("erasures", (described(row) for row in volunteer.erasures.order_by("requested_at")))
    for _, facts in volunteer_described.send(sender=Volunteer, volunteer=volunteer):
        for name, value in cast(dict[str, Any], facts or {}).items():
            yield from _member(name, value) if isinstance(value, Iterator) else (f',\n"{name}": {_text(value)}',)
    yield "}\n"


def _member(name: str, items: Iterable[Any]) -> Iterator[str]:
    yield f',\n"{name}": ['
    for index, item in enumerate(items):
        yield (",\n" if index else "\n") + _text(item)
    yield "]"


def _account(volunteer: Volunteer) -> dict[str, Any]:
    hidden = {"token_hash", "erased_at"}  # no one can use the hash, and an erased account takes nothing out
    return {
        field.attname: getattr(volunteer, field.attname)
        for field in volunteer._meta.concrete_fields
        if field.name not in hidden
    }


def _described(photo: Photo, missing: set[UUID], now: datetime) -> dict[str, Any]:
    """Every column of the row, names instead of numbers, its decisions, and where its file is."""
    facts = {field.name: getattr(photo, field.attname) for field in photo._meta.concrete_fields if field.name != "volunteer"}
    facts |= {
        "recognizer": photo.recognizer.slug,
        "claimed": photo.claimed.slug,
        "label": photo.label.slug if photo.label else None,
        "challenge": photo.challenge.prompt if photo.challenge else None,
    }
    facts["decisions"] = [
        {
            "verdict": row.verdict,
            "reason": row.reason,
            "label": row.label.slug if row.label else None,
            "decided_at": row.decided_at,
        }
        for row in photo.decisions.all()
    ]
    for _, more in photo_described.send(sender=Photo, photo=photo):
        facts |= cast(dict[str, Any], more or {})
    return facts | _whereabouts(photo, missing, now)


def _whereabouts(photo: Photo, missing: set[UUID], now: datetime) -> dict[str, str | None]:
    if photo.state == Photo.State.WITHDRAWN:
        return {"file": None, "why": "withdrawn"}
    if photo.pk in missing:
        return {"file": None, "why": "its file could not be read; tell the operator"}
    if photo.received_at >= now:
        return {"file": None, "why": "it came in while this zip was made"}
    return {"file": _file(photo)}


def _file(photo: Photo) -> str:
    return f"photos/{photo.pk}.{ENDINGS[photo.content_type]}"


def _named(name: str, now: datetime) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, now.timetuple()[:6])


def _text(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
