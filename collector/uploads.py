"""INTAKE: a photo that comes in pieces: begun, added to over any number of connections, ended; the rows of tus.

An upload is open until its photo is taken in or refused, its phone ends it, or UPLOAD_VALID_S have passed (collector.staging).
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from collector.body import Readable, prefix_of_body
from collector.errors import (
    ChecksumMismatch,
    EmptyBody,
    LengthMismatch,
    NotAnAllowedFormat,
    PhotoTooLarge,
    TooManyPieces,
    TooManyUploads,
    UnknownUpload,
    UploadGone,
    UploadTooLong,
    WrongOffset,
)
from collector.intake import known
from collector.limits import of_volunteer, spend
from collector.models import Challenge, Label, Piece, Recognizer, Upload, Volunteer
from collector.staging import STAGING, Standing, busy, claim, close, finish, open_and_free, take_in
from collector.storage import store
from collector.strip import format_of

FORMAT_BYTES = 12  # what tells JPEG, PNG and WebP from everything else


class Checksum(NamedTuple):
    """Upload-Checksum: a name that hashlib knows, and the digest's bytes."""

    algorithm: str
    digest: bytes


def begin(
    *,
    volunteer: Volunteer,
    photo_id: UUID,
    recognizer: Recognizer,
    label: Label,
    challenge: Challenge | None,
    length: int,
    metadata: str = "",
    way: Upload.Way = Upload.Way.TUS,
    announced_sha256: str = "",
) -> Upload:
    """Open an upload of `length` bytes. Call intake.may_begin first.

    Raises PhotoTooLarge, EmptyBody, PhotoConflict, PhotoGone, LimitReached, TooManyUploads; IntegrityError where another call
    has opened the same direct upload.
    """
    if length > settings.PHOTO_MAX_BYTES:
        raise PhotoTooLarge(
            f"At most {settings.PHOTO_MAX_BYTES} bytes are taken, {length} were announced.", most=settings.PHOTO_MAX_BYTES
        )
    if length == 0:
        raise EmptyBody("A photo has bytes.")
    known(photo_id=photo_id, volunteer=volunteer, sent=None)  # raises where no bytes could be taken under this UUID
    spend(of_volunteer("uploads", volunteer, settings.UPLOADS_PER_DAY))
    expires_at = timezone.now() + timedelta(seconds=settings.UPLOAD_VALID_S)
    upload = Upload(
        volunteer=volunteer,
        way=way,
        photo_id=photo_id,
        recognizer=recognizer,
        claimed=label,
        challenge=challenge,
        length=length,
        metadata=metadata,
        announced_sha256=announced_sha256,
        expires_at=expires_at,
        sweep_at=expires_at,
    )
    _open(upload)
    return upload


def append(
    *, upload_id: UUID, volunteer: Volunteer, offset: int, stream: Readable, length: int, checksum: Checksum | None = None
) -> Standing:
    """Add the next `length` bytes of `stream`; the last ones take the photo in.

    Where the connection breaks, what has arrived is kept; with a checksum it is all or nothing.
    Raises UnknownUpload, UploadGone, WrongOffset, UploadTooLong, TooManyPieces, ChecksumMismatch, LengthMismatch, UploadBusy,
    and what `receive` raises.
    """
    upload = own(upload_id, volunteer)
    if offset != upload.offset:
        raise WrongOffset(f"It stands at {upload.offset}. Ask by HEAD.", offset=upload.offset)
    if length > upload.length - offset:
        raise UploadTooLong(f"{upload.length - offset} bytes are missing, {length} were announced.")
    if offset == upload.length:
        return finish(upload)
    if upload.pieces >= settings.UPLOAD_PIECES_MOST:
        problem = TooManyPieces(f"At most {settings.UPLOAD_PIECES_MOST} are taken. Begin again and send more at a time.")
        close(upload, Upload.State.REFUSED, problem)
        raise problem
    with prefix_of_body(stream, length) as data:
        if checksum is not None:
            if len(data) < length:
                raise LengthMismatch(f"{length} bytes were announced, {len(data)} came; none is kept. Send them again.")
            if hashlib.new(checksum.algorithm, data, usedforsecurity=False).digest() != checksum.digest:
                raise ChecksumMismatch("They were damaged on the way and none is kept. Send them again.", offset=offset)
        if not data:
            return Standing(upload)
        if offset == 0 and len(data) >= FORMAT_BYTES:
            _refuse_format(upload, data)
        _keep(upload, volunteer, data)
        return take_in(upload) if upload.offset == upload.length else Standing(upload)


def standing(*, upload_id: UUID, volunteer: Volunteer) -> Standing:
    """How far an upload is. One that is complete but was not taken in yet is taken in now, so that the answer is the truth."""
    upload = own(upload_id, volunteer)
    return finish(upload) if upload.offset == upload.length else Standing(upload)


def abandon(*, upload_id: UUID, volunteer: Volunteer) -> None:
    """End an upload; what is staged is removed, a photo that it has become stays.

    Raises UnknownUpload, UploadGone, UploadBusy.
    """
    upload = own(upload_id, volunteer)
    if Upload.objects.filter(pk=upload.pk, state=Upload.State.TAKEN).update(state=Upload.State.ENDED):
        return
    if not claim(upload):
        raise busy(upload)
    close(upload, Upload.State.ENDED)


def give_up(upload: Upload) -> None:
    """End an upload that nobody could go on with."""
    close(upload, Upload.State.ENDED)


def twin_of(upload: Upload) -> Upload | None:
    """The open direct upload of the same photo, if `upload` is a direct one."""
    if upload.way != Upload.Way.DIRECT:
        return None
    same = {"volunteer": upload.volunteer_id, "photo_id": upload.photo_id, "way": upload.way, "state": Upload.State.OPEN}
    return Upload.objects.filter(**same).first()


# ---- the parts ---------------------------------------------------------------------------------------------------
def _open(upload: Upload) -> None:
    """Give the upload a free slot: the unique slot is what holds under concurrency, not our look before."""
    mine = Upload.objects.filter(volunteer=upload.volunteer_id, slot__isnull=False)
    # One that is too old counts no more, though the sweeper has not come by yet.
    mine.filter(expires_at__lte=timezone.now()).update(slot=None)
    free = sorted(set(range(settings.UPLOADS_OPEN)) - set(mine.values_list("slot", flat=True)))
    for slot in free:
        upload.slot = slot
        try:
            with transaction.atomic():
                upload.save(force_insert=True)
        except IntegrityError:
            if twin_of(upload) is not None:
                raise
            continue  # a rival took this slot
        return
    first = mine.order_by("expires_at").values_list("expires_at", flat=True).first() or timezone.now()
    raise TooManyUploads(
        f"{settings.UPLOADS_OPEN} may be open at a time. Finish one, or end one by DELETE.",
        retry_after_s=max(1, int((first - timezone.now()).total_seconds()) + 1),
        limit=settings.UPLOADS_OPEN,
    )


def own(upload_id: UUID, volunteer: Volunteer) -> Upload:
    """This volunteer's upload, open or taken in."""
    related = ("volunteer", "recognizer", "claimed", "challenge")
    found = Upload.objects.filter(pk=upload_id, volunteer=volunteer, way=Upload.Way.TUS).select_related(*related).first()
    if found is None:
        raise UnknownUpload("Begin one by POST /api/v1/tus/.")
    if found.expires_at <= timezone.now():
        raise UploadGone("It is too old. Begin a new one.")
    if found.state == Upload.State.REFUSED:
        assert found.problem is not None
        raise UploadGone(f"The photo was refused: {found.problem['detail']}", reason=found.problem["type"])
    if found.state not in (Upload.State.OPEN, Upload.State.TAKEN):
        raise UploadGone("Begin a new one.")
    return found


def _refuse_format(upload: Upload, data: bytes) -> None:
    """What is no photo by its first bytes need not come whole."""
    try:
        format_of(data[:FORMAT_BYTES])
    except NotAnAllowedFormat as problem:
        close(upload, Upload.State.REFUSED, problem)
        raise


def _keep(upload: Upload, volunteer: Volunteer, data: bytes) -> None:
    """Store one piece, then acknowledge it: exactly one of several writers moves the offset, the others' bytes are removed."""
    key, end = f"{STAGING}/{upload.pk.hex}{secrets.token_hex(8)}", upload.offset + len(data)
    store().put(key, data)
    changes: dict[str, Any] = {"offset": end, "pieces": F("pieces") + 1}
    if end == upload.length:  # ours at once: between this and the photo nobody else may begin to take it in
        changes["lease_until"] = timezone.now() + timedelta(seconds=settings.UPLOAD_LEASE_S)
    with transaction.atomic():
        here = open_and_free().filter(pk=upload.pk, offset=upload.offset, pieces__lt=settings.UPLOAD_PIECES_MOST)
        if moved := here.update(**changes):
            Piece.objects.create(upload=upload, offset=upload.offset, bytes=len(data), key=key)
    if not moved:
        store().delete(key)
        now = own(upload.pk, volunteer)
        raise WrongOffset("Another request was faster. Ask by HEAD.", offset=now.offset)
    upload.offset = end
