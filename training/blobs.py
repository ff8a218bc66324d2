"""RELEASE → PHONE: which bytes of a released file does a request want? RFC 9110's Range and If-Range, for one range."""

import re

import structlog
from django.conf import settings

from collector.storage import LocalStore, MissingObject, S3Store, store
from training.errors import BlobUnavailable, RangeNotSatisfiable, UnknownBlob
from training.models import Artifact
from training.release import KIND

# 18 digits: more bytes than there are, and no integer that takes long to read.
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.ASCII)
log = structlog.get_logger()


def released_bytes(sha256: str) -> int:
    """The length of a file that some release names, also a withdrawn one: valid manifests still point there.
    Raises UnknownBlob, for a file of a run that was never released too.
    """
    length = Artifact.objects.filter(sha256=sha256, releases__isnull=False).values_list("bytes", flat=True).first()
    if length is None:
        raise UnknownBlob("The manifest lists what there is.", sha256=sha256)
    return length


def wanted(range_header: str, if_range: str, *, etag: str, length: int) -> tuple[int, int] | None:
    """[start, stop) of the one range that is asked for, or None for the whole file. Raises RangeNotSatisfiable.

    A header of another unit, of several ranges or of no sense is ignored, as RFC 9110 §14.2 allows; so is a range of another
    version of the file: If-Range must be our strong ETag (a date never is: we give none).
    """
    match = _ONE_RANGE.fullmatch(range_header.strip())
    if match is None or (if_range and if_range.strip() != etag):
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(0, length - int(suffix)), length
    else:
        start, stop = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < start:
            return None
    if start >= length:
        raise RangeNotSatisfiable(f"It has {length} bytes.", bytes=length)
    return start, stop


def elsewhere(sha256: str) -> str | None:
    """An address of the bucket that gives the file for BLOB_REDIRECT_S; None where this server sends it itself."""
    objects = store()
    if not settings.BLOB_REDIRECT or not isinstance(objects, S3Store):
        return None
    return objects.presign_get(f"{KIND}/{sha256}", seconds=settings.BLOB_REDIRECT_S)


def read(sha256: str, start: int, stop: int, *, kind: str = KIND) -> bytes:
    """Bytes [start, stop) of a blob; from disk only those, from S3 the whole object is fetched. Raises BlobUnavailable."""
    key, objects = f"{kind}/{sha256}", store()
    try:
        if isinstance(objects, LocalStore):
            with objects.path(key).open("rb") as file:
                file.seek(start)
                return file.read(stop - start)
        return objects.get(key)[start:stop]
    except (MissingObject, FileNotFoundError):
        log.error("released blob is missing", sha256=sha256)
        raise BlobUnavailable("It was logged. Try again later.", retry_after_s=settings.BLOB_RETRY_S, sha256=sha256) from None
