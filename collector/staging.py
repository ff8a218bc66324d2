"""INTAKE: what is staged for an upload becomes a photo, or is removed; nothing of it lasts an hour.

Everything of one upload lies under `staging/<its id in hex>…`, so that it can be found and removed whole, also what no row
acknowledges: the rest of a process that died, the loser of a race, an object that was sent too late.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.errors import UploadBusy, UploadGone
from collector.intake import receive
from collector.models import Photo, Piece, Upload, Volunteer
from collector.storage import store
from config.errors import Problem

STAGING = "staging"
PASSING = frozenset({429, 503})  # refusals that may be none later: the upload stays


class Standing(NamedTuple):
    """How an upload stands; `photo` is set by the call that took it in, `created` says whether it was new."""

    upload: Upload
    photo: Photo | None = None
    created: bool = False


# ---- the end of an upload ---------------------------------------------------------------------------------------
def open_and_free() -> QuerySet[Upload]:
    """Open uploads that are neither too old nor being taken in."""
    now = timezone.now()
    return Upload.objects.filter(_free(now), state=Upload.State.OPEN, expires_at__gt=now)


def claim(upload: Upload) -> bool:
    """Whether it is ours for UPLOAD_LEASE_S seconds."""
    until = timezone.now() + timedelta(seconds=settings.UPLOAD_LEASE_S)
    return open_and_free().filter(pk=upload.pk).update(lease_until=until) == 1


def release(upload: Upload, *, hold_s: float) -> None:
    """Leave it open and free, and let the worker not look for `hold_s` seconds."""
    hold = timezone.now() + timedelta(seconds=hold_s)
    Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN).update(lease_until=None, hold_until=hold)


def settle(upload: Upload, body: bytes) -> Standing:
    """The whole bytes of a claimed upload become a photo, or a refusal that ends the upload. Raises what `receive` raises."""
    # The row is read again: the account may have been erased since.
    volunteer = Volunteer.objects.filter(uploads=upload).first()
    if volunteer is None:
        close(upload, Upload.State.ENDED)
        raise UploadGone("The account was erased.")
    try:
        photo, created = receive(
            photo_id=upload.photo_id,
            volunteer=volunteer,
            recognizer=upload.recognizer,
            label=upload.claimed,
            challenge=upload.challenge,
            body=body,
        )
    except Problem as problem:
        if problem.status in PASSING:
            release(upload, hold_s=problem.retry_after_s or settings.UPLOAD_LEASE_S)
        else:
            close(upload, Upload.State.REFUSED, problem)
        raise
    close(upload, Upload.State.TAKEN)
    return Standing(upload, photo, created)


def close(upload: Upload, state: Upload.State, problem: Problem | None = None) -> None:
    """The end of an open upload, and of what is staged for it. Nobody can add to it any more."""
    facts = None if problem is None else problem.body()
    # sweep_at: whoever dies before clear() has left it to the sweeper.
    changes = {"state": state, "slot": None, "lease_until": None, "problem": facts, "sweep_at": timezone.now()}
    if Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN).update(**changes):
        upload.state = state
        clear(upload)


def clear(upload: Upload) -> None:
    """Remove what is staged for a closed upload; a straggler is looked for once it is late, and when the row is forgotten."""
    lately = timezone.now() - timedelta(seconds=settings.UPLOAD_LEASE_S)
    for item in list(store().list(STAGING, upload.pk.hex)):
        if not (item.key.endswith(".part") and item.written_at > lately):
            store().delete(item.key)  # a young .part is being written: its request finds no open upload and removes it itself
    Piece.objects.filter(upload=upload).delete()
    late_at = upload.expires_at + timedelta(seconds=settings.UPLOAD_LATE_S)
    late = timezone.now() >= late_at
    metadata = "" if late else upload.metadata  # it may hold a file's name
    Upload.objects.filter(pk=upload.pk).update(sweep_at=_forget_at(upload) if late else late_at, metadata=metadata)


def finish(upload: Upload) -> Standing:
    """All bytes are here: the photo is taken in, or is now."""
    if upload.state == Upload.State.TAKEN:
        return Standing(upload)
    if not claim(upload):
        raise busy(upload)
    return take_in(upload)


def take_in(upload: Upload) -> Standing:
    """Join the pieces of a claimed upload in memory; from here on it is as if the body had come at once."""
    body = b"".join(store().get(key) for key in Piece.objects.filter(upload=upload).values_list("key", flat=True))
    return settle(upload, body)


def busy(upload: Upload) -> Problem:
    """Why an open upload could not be claimed."""
    upload.refresh_from_db()
    if upload.state == Upload.State.OPEN:
        return UploadBusy("Ask again in a second.", retry_after_s=1)
    return UploadGone("It has just ended.")


# ---- what the worker does ----------------------------------------------------------------------------------------
def complete() -> list[str]:
    """Uploads with all their bytes that nobody has taken in: a process died between the last piece and the photo."""
    waiting = open_and_free().filter(let_go(), way=Upload.Way.TUS, offset=F("length"))
    return [str(pk) for pk in waiting.order_by("created_at").values_list("pk", flat=True)[:500]]


def collect(*, upload_id: UUID) -> Photo | None:
    """Take in one complete upload; the photo if it is new. A refusal stays in the row."""
    upload = Upload.objects.filter(pk=upload_id, way=Upload.Way.TUS, offset=F("length")).first()
    if upload is None or not claim(upload):
        return None
    try:
        done = take_in(upload)
    except Problem:
        return None  # recorded by settle()
    return done.photo if done.created else None


def overdue() -> list[str]:
    """Uploads whose staged bytes, or whose row, are to be removed: at their end, and at once where the account was erased."""
    now = timezone.now()
    due = Upload.objects.filter(_free(now), sweep_at__lte=now)
    return [str(pk) for pk in due.order_by("sweep_at").values_list("pk", flat=True)[:500]]


def sweep(*, upload_id: UUID) -> None:
    """End one upload that is too old or whose volunteer has left; remove what is staged; at last forget the row."""
    upload = Upload.objects.filter(pk=upload_id).first()
    now = timezone.now()
    if upload is None or (upload.lease_until or now) > now:
        return
    if upload.state == Upload.State.OPEN:
        if upload.expires_at <= now or upload.volunteer_id is None:
            close(upload, Upload.State.EXPIRED)
        return
    clear(upload)
    if now >= _forget_at(upload):
        upload.delete()


# ---- which and when ----------------------------------------------------------------------------------------------
def _free(now: datetime) -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def let_go() -> Q:
    return Q(hold_until__isnull=True) | Q(hold_until__lte=timezone.now())


def _forget_at(upload: Upload) -> datetime:
    return upload.created_at + timedelta(seconds=settings.UPLOAD_KEEP_S)
