"""INTAKE: a photo that its phone puts into the object store itself; the worker re-reads and re-checks it before it counts.

Nothing that the store enforces is relied on: the address signs length and type, but what counts is what we read again.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from collector.errors import NoDirectUpload, NotAsAnnounced
from collector.intake import known
from collector.models import Challenge, Label, Photo, Recognizer, Upload, Volunteer
from collector.staging import STAGING, claim, close, let_go, open_and_free, release, settle
from collector.storage import MissingObject, S3Store, store
from collector.uploads import begin
from config.errors import Problem

CONTENT_TYPE = "application/octet-stream"  # the content tells what it is


class Announced(NamedTuple):
    """Where and how to PUT the bytes, and until when (aware, UTC)."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


def announce(
    *,
    volunteer: Volunteer,
    photo_id: UUID,
    recognizer: Recognizer,
    label: Label,
    challenge: Challenge | None,
    length: int,
    sha256: str,
) -> Announced | Photo:
    """An address for `length` bytes with this SHA-256 (hex), or the photo once it is taken in. Calling again is safe.

    Raises NoDirectUpload, NotAsAnnounced and every other refusal of the bytes that came, and what `begin` raises.
    """
    if photo := known(photo_id=photo_id, volunteer=volunteer, sent=sha256):
        return photo
    if not isinstance(store(), S3Store):
        raise NoDirectUpload("Send it by PUT /api/v1/photos/{uuid}, or in pieces by tus at /api/v1/tus/.")
    mine = Upload.objects.filter(volunteer=volunteer, photo_id=photo_id, way=Upload.Way.DIRECT, expires_at__gt=timezone.now())
    last = mine.order_by("-created_at").first()
    same = last is not None and (last.length, last.announced_sha256) == (length, sha256)
    if last is not None and same and last.state == Upload.State.REFUSED:
        raise _told_again(last.problem)
    if last is not None and last.state == Upload.State.OPEN:
        if same and _seconds_left(last) > 0:
            mine.filter(pk=last.pk).update(hold_until=None)  # the phone rings: look at once
            return _address(last)
        close(last, Upload.State.ENDED)  # other bytes, or too little time left
    try:
        upload = begin(
            volunteer=volunteer,
            photo_id=photo_id,
            recognizer=recognizer,
            label=label,
            challenge=challenge,
            length=length,
            way=Upload.Way.DIRECT,
            announced_sha256=sha256,
        )
    except IntegrityError:  # a twin of this call was faster; what it began is ours too
        upload = mine.get(state=Upload.State.OPEN)
    return _address(upload)


def awaited() -> list[str]:
    """Direct uploads that may have arrived, oldest first."""
    since = timezone.now() - timedelta(seconds=settings.DIRECT_LOOK_S)
    waiting = open_and_free().filter(let_go(), way=Upload.Way.DIRECT, created_at__lte=since)
    return [str(pk) for pk in waiting.order_by("created_at").values_list("pk", flat=True)[:500]]


def collect(*, upload_id: UUID) -> Photo | None:
    """Look whether one direct upload has arrived, read it once, and take it in; the photo if it is new.

    A refusal stays in the row, where the phone's next call finds it.
    """
    related = ("volunteer", "recognizer", "claimed", "challenge")
    upload = Upload.objects.filter(pk=upload_id, way=Upload.Way.DIRECT).select_related(*related).first()
    source = store()
    if upload is None or not isinstance(source, S3Store) or not claim(upload):
        return None
    size = source.size(_key(upload))
    if size is None:
        age = (timezone.now() - upload.created_at).total_seconds()
        release(upload, hold_s=max(settings.DIRECT_LOOK_S, age / 10))
        return None
    if size != upload.length:  # told by the store: enough to refuse, not enough to trust
        _refuse(upload, f"{upload.length} bytes were announced, {size} came.")
        return None
    try:
        body = source.get_at_most(_key(upload), upload.length)
    except MissingObject:  # removed since we looked
        release(upload, hold_s=settings.DIRECT_LOOK_S)
        return None
    digest = hashlib.sha256(body).hexdigest()
    if len(body) != upload.length or digest != upload.announced_sha256:
        _refuse(upload, f"The bytes that came have the SHA-256 {digest}.")
        return None
    try:
        done = settle(upload, body)
    except Problem:
        return None  # recorded by settle()
    return done.photo if done.created else None


def _refuse(upload: Upload, why: str) -> None:
    way_out = "Send the photo by PUT or by tus, or under a new UUID."
    close(upload, Upload.State.REFUSED, NotAsAnnounced(f"{why} {way_out}", photo=str(upload.photo_id)))


def _told_again(stored: Any) -> Problem:
    """The refusal that the worker wrote down, for the phone that asks."""
    members = {"type", "title", "status", "detail"}
    problem = Problem(stored["detail"], **{name: value for name, value in stored.items() if name not in members})
    problem.status, problem.title = stored["status"], stored["title"]  # type: ignore[misc]
    problem.code = stored["type"].rpartition(":")[2]  # type: ignore[misc]
    return problem


def _address(upload: Upload) -> Announced:
    source, seconds = store(), _seconds_left(upload)
    assert isinstance(source, S3Store)
    url = source.presign_put(_key(upload), length=upload.length, content_type=CONTENT_TYPE, seconds=seconds)
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(upload.length)}
    return Announced(url, headers, timezone.now() + timedelta(seconds=seconds))


def _seconds_left(upload: Upload) -> int:
    """How long a fresh address may work: what is put at its last moment is still found before the upload's last sweep."""
    left = (upload.expires_at - timezone.now()).total_seconds() - settings.DIRECT_SPARE_S
    return int(min(settings.DIRECT_URL_S, left))


def _key(upload: Upload) -> str:
    return f"{STAGING}/{upload.pk.hex}"
