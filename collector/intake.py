"""INTAKE: a photo's bytes come in, are counted and hashed as they arrive, stripped, stored by digest, and become one row."""

import hashlib
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from collector.errors import (
    EmptyBody,
    LengthMismatch,
    LengthRequired,
    LimitReached,
    MissingParameter,
    PhotoConflict,
    PhotoGone,
    PhotoTooLarge,
    UnknownChallenge,
    UnknownLabel,
    UnknownRecognizer,
)
from collector.invitations import must_be_invited
from collector.limits import MINUTE, Limit, check, of_address, of_volunteer, spend
from collector.models import Challenge, Label, Photo, Recognizer, Volunteer
from collector.storage import store
from collector.strip import Stripped, strip

CHUNK = 64 * 2**10  # bytes read at a time: large enough that Python's loop costs nothing, small enough to stop soon


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_body(stream: Readable, declared: str | None) -> tuple[bytes, str]:
    """Read exactly the declared length; returns the bytes and their SHA-256 (hex).

    The body stays in memory, at most PHOTO_MAX_BYTES: metadata such as the location never touches a disk.
    Raises LengthRequired, PhotoTooLarge (before reading where the header says so), LengthMismatch, EmptyBody.
    """
    if declared is None or not declared.isdecimal():
        raise LengthRequired("Photos are not taken in chunks: send Content-Length.")
    length = int(declared)
    if length > settings.PHOTO_MAX_BYTES:
        raise PhotoTooLarge(
            f"At most {settings.PHOTO_MAX_BYTES} bytes are taken, {length} were announced.", most=settings.PHOTO_MAX_BYTES
        )
    if length == 0:
        raise EmptyBody("Send the photo's bytes as the body.")
    digest, body = hashlib.sha256(), bytearray()
    while len(body) < length:
        chunk = stream.read(min(CHUNK, length - len(body)))
        if not chunk:
            raise LengthMismatch(f"{length} bytes were announced, {len(body)} came. Send it again.")
        digest.update(chunk)
        body += chunk
    return bytes(body), digest.hexdigest()


def target(*, recognizer: str, label: str, challenge: str) -> tuple[Recognizer, Label, Challenge | None]:
    """What the phone says a photo is for. Raises MissingParameter, UnknownRecognizer, UnknownLabel, UnknownChallenge."""
    for name, value in (("recognizer", recognizer), ("label", label)):
        if not value:
            raise MissingParameter(f"Add ?{name}=… to the address.", parameter=name)
    found = Recognizer.objects.filter(slug=recognizer, active=True).first()
    if found is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=recognizer)
    chosen = Label.objects.filter(recognizer=found, slug=label).first()
    if chosen is None:
        known = list(found.labels.values_list("slug", flat=True))
        raise UnknownLabel("Choose one of the known labels.", label=label, known=known)
    if not challenge:
        return found, chosen, None
    dated = Challenge.objects.filter(recognizer=found, pk=int(challenge)).first() if challenge.isdecimal() else None
    if dated is None:
        raise UnknownChallenge("Leave ?challenge= out, or take the id from the recognizer's challenge.", challenge=challenge)
    return found, chosen, dated


def known(*, photo_id: UUID, volunteer: Volunteer, sent_sha256: str | None) -> Photo | None:
    """The photo of this UUID, if it is this volunteer's and these bytes; None if the UUID is free.

    With `sent_sha256=None` nothing was read yet, and the bytes are not compared. Raises PhotoConflict, PhotoGone.
    """
    photo = Photo.objects.filter(pk=photo_id).select_related("claimed", "recognizer").first()
    if photo is None:
        return None
    if photo.volunteer_id != volunteer.pk:  # nothing about another volunteer's photo is told, not even its state
        raise PhotoConflict("Choose another UUID.")
    if photo.state == Photo.State.WITHDRAWN:
        raise PhotoGone("Send it under a new UUID if it shall count again.", photo=str(photo_id))
    if sent_sha256 is not None and photo.sent_sha256 != sent_sha256:
        raise PhotoConflict("Other bytes need another UUID.", photo=str(photo_id), sha256=photo.sent_sha256)
    return photo


def may_send(volunteer: Volunteer, address: str, *, new: bool = True) -> None:
    """Count a try to send a photo, and raise LimitReached before a body is read that could not be kept.

    Tries count whatever comes of them: these limits protect the server. The daily quota counts photos that are kept
    (`receive`), so a `new` photo is only compared with it, and the retry of a known one is not.
    """
    spend(
        of_volunteer("photo uploads", volunteer, settings.PHOTO_REQUESTS_PER_MINUTE, MINUTE),
        of_address("photo uploads", address, settings.PHOTO_REQUESTS_PER_ADDRESS_MINUTE, MINUTE),
        of_address("photo uploads", address, settings.PHOTO_REQUESTS_PER_ADDRESS_DAY),
    )
    if new:
        check(_quota(volunteer))


def receive(
    *,
    photo_id: UUID,
    volunteer: Volunteer,
    recognizer: Recognizer,
    label: Label,
    challenge: Challenge | None,
    body: bytes,
    sent_sha256: str,
    source: Photo.Source = Photo.Source.PHONE,
) -> tuple[Photo, bool]:
    """Take one photo in; returns its row and whether it is new. The same bytes again return the row that is there.

    Raises NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge, PhotoConflict, PhotoGone, LimitReached, InvitationRequired; then
    nothing is stored.
    """
    if photo := known(photo_id=photo_id, volunteer=volunteer, sent_sha256=sent_sha256):
        return photo, False
    if source == Photo.Source.PHONE:  # looked at before the body too, but whoever calls this cannot forget it
        must_be_invited(volunteer=volunteer, recognizer=recognizer)
    stripped = strip(body)
    digest = hashlib.sha256(stripped.data).hexdigest()
    store().put(f"originals/{digest}", stripped.data)
    photo = _row(photo_id, volunteer, recognizer, label, challenge, sent_sha256, digest, stripped, source)
    try:
        with transaction.atomic():
            if source == Photo.Source.PHONE:
                spend(_quota(volunteer))
            photo.save(force_insert=True)
    except (IntegrityError, LimitReached):
        discard(f"originals/{digest}", sha256=digest)
        twin = known(photo_id=photo_id, volunteer=volunteer, sent_sha256=sent_sha256)
        if twin is None:
            raise
        return twin, False  # a concurrent twin of this request was faster: its row decides
    if store().size(f"originals/{digest}") is None:  # an erasure of the same bytes came between put and row, see discard()
        store().put(f"originals/{digest}", stripped.data)
    return photo, True


def discard(key: str, **digest: str) -> None:
    """Remove an object that no living photo needs; `digest` is the column that names it, e.g. sha256=….

    Two photos may share an object. A rival that commits a row between our look and our delete is covered twice: we look again
    and put the bytes back, and the rival looks after its commit whether they are there.
    """
    living = Photo.objects.filter(**digest).exclude(state=Photo.State.WITHDRAWN)
    if living.exists() or store().size(key) is None:
        return
    data = store().get(key)
    store().delete(key)
    if living.exists():
        store().put(key, data)


def _quota(volunteer: Volunteer) -> Limit:
    return of_volunteer("photos", volunteer, settings.PHOTOS_PER_DAY)


def _row(
    photo_id: UUID,
    volunteer: Volunteer,
    recognizer: Recognizer,
    label: Label,
    challenge: Challenge | None,
    sent_sha256: str,
    digest: str,
    stripped: Stripped,
    source: Photo.Source,
) -> Photo:
    return Photo(
        id=photo_id,
        volunteer=volunteer,
        recognizer=recognizer,
        challenge=challenge,
        claimed=label,
        source=source,
        sent_sha256=sent_sha256,
        sha256=digest,
        content_type=stripped.content_type,
        bytes=len(stripped.data),
        width=stripped.width,
        height=stripped.height,
        orientation=stripped.orientation,
        taken_hour=stripped.taken_hour,
        device_model=stripped.device_model,
        consent_version=volunteer.consent_version,
        licence=settings.PHOTO_LICENCE,
    )
