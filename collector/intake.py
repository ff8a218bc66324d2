"""INTAKE: a photo's bytes come in, are counted and hashed as they arrive, stripped, stored by digest, and become one row."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from collector.errors import (
    InvitationRequired,
    LimitReached,
    MissingParameter,
    PhotoConflict,
    PhotoErased,
    PhotoGone,
    UnknownChallenge,
    UnknownLabel,
    UnknownRecognizer,
    VolunteerGone,
)
from collector.invitations import must_be_invited
from collector.limits import MINUTE, Limit, check, of_address, of_volunteer, spend
from collector.models import Challenge, Label, Photo, Recognizer, Volunteer
from collector.objects import assure, discard
from collector.storage import store
from collector.strip import Stripped, strip
from config import rows
from config.database import turn_at_writing
from config.fields import without_nul

NAMED = """
    collector_label JOIN collector_recognizer ON collector_recognizer.id = collector_label.recognizer_id
    WHERE collector_recognizer.slug = %s AND collector_recognizer.active AND collector_label.slug = %s
"""
HASHERS = 2  # threads; more cores than that have no photos to wait for
_aside = ThreadPoolExecutor(HASHERS, thread_name_prefix="hash")
NUMBER_DIGITS = 18  # of a number in a request: fits the database's integers, and int() takes no time over it


def target(*, recognizer: str, label: str, challenge: str) -> tuple[Recognizer, Label, Challenge | None]:
    """What the phone says a photo is for. Raises MissingParameter, UnknownRecognizer, UnknownLabel, UnknownChallenge."""
    recognizer, label = without_nul(recognizer), without_nul(label)
    for name, value in (("recognizer", recognizer), ("label", label)):
        if not value:
            raise MissingParameter(f"Add ?{name}=… to the address.", parameter=name)
    # One query says yes to both; which of the two is wrong is asked only after a no.
    found = rows.first([Recognizer, Label], NAMED, [recognizer, label])
    if found is None:
        raise _unknown(recognizer, label)
    if not challenge:
        return (*found, None)
    number = int(challenge) if challenge.isdecimal() and len(challenge) <= NUMBER_DIGITS else None
    dated = Challenge.objects.filter(recognizer=found[0], pk=number).first() if number is not None else None
    if dated is None:
        raise UnknownChallenge(
            "Leave ?challenge= out, or take the id from the recognizer's challenge.", challenge=challenge[:80]
        )
    return (*found, dated)


def _unknown(recognizer: str, label: str) -> UnknownRecognizer | UnknownLabel:
    found = Recognizer.objects.filter(slug=recognizer, active=True).first()
    if found is None:
        return UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=recognizer)
    known = list(found.labels.values_list("slug", flat=True))
    return UnknownLabel("Choose one of the known labels.", label=label, known=known)


def known(*, photo_id: UUID, volunteer: Volunteer, sent: "str | Future[str] | None") -> Photo | None:
    """The photo of this UUID, if it is this volunteer's and these bytes; None if the UUID is free.

    `sent` is the SHA-256 of the bytes as they were sent, hex; None: nothing was read yet, and the bytes are not compared.
    Raises PhotoConflict, PhotoGone.
    """
    if not rows.exists("collector_photo WHERE id = %s", [rows.key(photo_id)]):  # the usual answer, and the cheapest
        return None
    photo = Photo.objects.select_related("claimed", "recognizer", "label").get(pk=photo_id)  # rows are never deleted
    if photo.volunteer_id != volunteer.pk:  # nothing about another volunteer's photo is told, not even its state
        raise PhotoConflict("Choose another UUID.")
    if photo.state == Photo.State.WITHDRAWN:
        raise PhotoGone("It is not taken again. Take a new photo, under a new UUID.", photo=str(photo_id))
    if sent is not None and photo.sent_sha256 != (sent if isinstance(sent, str) else sent.result()):
        raise PhotoConflict("Other bytes need another UUID.", photo=str(photo_id), sha256=photo.sent_sha256)
    return photo


def tries(volunteer: Volunteer, address: str) -> tuple[Limit, ...]:
    """The limits that one try to send a photo counts against, whatever comes of it: they protect the server."""
    return (
        of_volunteer("photo uploads", volunteer, settings.PHOTO_REQUESTS_PER_MINUTE, MINUTE),
        of_address("photo uploads", address, settings.PHOTO_REQUESTS_PER_ADDRESS_MINUTE, MINUTE),
        of_address("photo uploads", address, settings.PHOTO_REQUESTS_PER_ADDRESS_DAY),
    )


def may_send(volunteer: Volunteer, limits: Sequence[Limit], *, photo_id: UUID, recognizer: Recognizer) -> None:
    """Refuse before a body is read what could not be kept. Counts nothing: `receive` and `count_try` do.

    A photo that is known may always be sent again, its answer was lost: the daily quota and invitations are for new ones.
    Raises LimitReached, InvitationRequired; PhotoConflict and PhotoGone where these made us look.
    """
    try:
        must_be_invited(volunteer=volunteer, recognizer=recognizer)
        check(*limits, _quota(volunteer))
    except (LimitReached, InvitationRequired):
        check(*limits)
        if known(photo_id=photo_id, volunteer=volunteer, sent=None) is None:
            raise


def count_try(limits: Sequence[Limit]) -> None:
    """Count a try that made no photo. Where the limit was reached meanwhile, this answer still goes out, the next does not."""
    with suppress(LimitReached):
        spend(*limits)


def may_begin(volunteer: Volunteer, address: str, *, photo_id: UUID, recognizer: Recognizer) -> None:
    """`may_send` for an upload whose bytes come by later calls: this call is the try, and is counted at once."""
    limits = tries(volunteer, address)
    may_send(volunteer, limits, photo_id=photo_id, recognizer=recognizer)
    count_try(limits)


def receive(
    *,
    photo_id: UUID,
    volunteer: Volunteer,
    recognizer: Recognizer,
    label: Label,
    challenge: Challenge | None,
    body: bytes,
    source: Photo.Source = Photo.Source.PHONE,
    limits: Sequence[Limit] = (),
) -> tuple[Photo, bool]:
    """Take one photo in; returns its row and whether it is new. The same bytes again return the row that is there.

    `limits` are counted together with the daily quota in the transaction of the row: a photo over any of them is not kept.

    Raises NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge, PhotoConflict, PhotoGone, PhotoErased, LimitReached,
    InvitationRequired, VolunteerGone; then nothing is stored.
    """
    sent = _aside.submit(_sha256, body)  # on another core, while this one strips: a tenth of an upload's time
    if photo := known(photo_id=photo_id, volunteer=volunteer, sent=sent):
        return photo, False
    if source == Photo.Source.PHONE:  # looked at before the body too, but whoever calls this cannot forget it
        must_be_invited(volunteer=volunteer, recognizer=recognizer)
    stripped = strip(body)
    digest = _sha256(stripped.data)
    if rows.exists("collector_tombstone WHERE sha256 = %s", [digest]):  # whoever sends them, by whatever way: a re-import too
        raise PhotoErased("Somebody took exactly this photo back. Take a new one.", photo=str(photo_id))
    store().put(f"originals/{digest}", stripped.data)
    photo = _row(photo_id, volunteer, recognizer, label, challenge, sent.result(), digest, stripped, source)
    try:
        with turn_at_writing(), transaction.atomic():
            if source == Photo.Source.PHONE:
                spend(*limits, _quota(volunteer))
            rows.insert(photo)
    except (IntegrityError, LimitReached):
        discard(f"originals/{digest}")
        twin = known(photo_id=photo_id, volunteer=volunteer, sent=sent)
        if twin is None:
            if not Volunteer.objects.filter(pk=volunteer.pk).exists():  # erased meanwhile: the foreign key refused the row
                raise VolunteerGone("It was erased while the photo came in; nothing of it is stored.") from None
            raise
        return twin, False  # a concurrent twin of this request was faster: its row decides
    assure(f"originals/{digest}", stripped.data)
    return photo, True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
