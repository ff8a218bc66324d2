"""INTAKE, in the worker: one decode of a photo gives all that anyone will see or compute: view, thumbnail, hash, cluster."""

import io
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from PIL import Image

from collector.duplicates import cluster_of, perceptual_hash, remember
from collector.intake import discard
from collector.models import Photo, Recognizer
from collector.storage import put_blob, store

# Twelve-megapixel phones shoot 4000 or 4032 pixels wide: a quarter of that is what the JPEG decoder can give for free.
VIEW_SIDE = 1000  # pixels, longer side
THUMBNAIL_SIDE = 320  # pixels, longer side
VIEW_QUALITY, THUMBNAIL_QUALITY = 88, 80  # JPEG; above 88 the night's accuracy does not change
UPRIGHT = {  # EXIF orientation → what makes the picture upright (CIPA DC-008, table 8)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
log = structlog.get_logger()


class Derived(NamedTuple):
    """`view`, `thumbnail`: JPEG bytes, upright, sRGB, without metadata. `bands`: the perceptual hash."""

    view: bytes
    thumbnail: bytes
    bands: tuple[int, ...]


def undeveloped() -> list[str]:
    """Photos nobody has decoded yet and nobody is decoding, oldest first."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    ids = Photo.objects.filter(free, state=Photo.State.RECEIVED).order_by("received_at").values_list("id", flat=True)
    return [str(photo_id) for photo_id in ids[:500]]  # one sweep's worth; the next sweep sees the rest


def develop(*, photo_id: UUID) -> bool:
    """Decode one received photo and derive what others need. Returns False where somebody else has it or it is done.

    A photo that cannot be decoded becomes `broken`. A worker that dies leaves a lease that runs out; after DEVELOP_ATTEMPTS
    the photo is taken for the killer of its workers and becomes `broken` too.
    """
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    claimed = Photo.objects.filter(free, pk=photo_id, state=Photo.State.RECEIVED).update(
        attempts=F("attempts") + 1, lease_until=now + timedelta(seconds=settings.DEVELOP_LEASE_S)
    )
    if not claimed:
        return False
    photo = Photo.objects.get(pk=photo_id)
    if photo.attempts > settings.DEVELOP_ATTEMPTS:
        return _set_aside(photo, f"its decoding did not end in {settings.DEVELOP_ATTEMPTS} attempts")
    data = store().get(f"originals/{photo.sha256}")
    try:
        derived = derive(data, photo.orientation)
    except Exception as error:  # whatever a decoder raises on a stranger's bytes says: this is no photo that can be shown
        log.info("photo broken", photo=str(photo_id), error=repr(error))
        return _set_aside(photo, f"it does not decode ({type(error).__name__})")
    return _keep(photo, derived)


def derive(data: bytes, orientation: int) -> Derived:
    """One decode, at the coarsest scale that still gives the view; thumbnail and hash come from the view."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
        image.draft("RGB", (VIEW_SIDE, VIEW_SIDE * min(image.size) // max(image.size) or 1))
        image.load()
        picture = _opaque(image)
    picture.thumbnail((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if orientation in UPRIGHT:
        picture = picture.transpose(UPRIGHT[orientation])
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return Derived(_jpeg(picture, VIEW_QUALITY), _jpeg(small, THUMBNAIL_QUALITY), perceptual_hash(small))


def _opaque(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white, as on a page."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.info.clear()  # Pillow would write a comment or a profile that it read from the original
    picture.save(file, "JPEG", quality=quality, optimize=False)
    return file.getvalue()


def _keep(photo: Photo, derived: Derived) -> bool:
    view, thumbnail = put_blob("views", derived.view), put_blob("thumbnails", derived.thumbnail)
    with transaction.atomic():
        # Two photos of one burst, developed at the same time, must not each found a cluster.
        Recognizer.objects.filter(pk=photo.recognizer_id).update(turn=F("turn") + 1)
        cluster = cluster_of(photo, derived.bands)
        kept = _ours(photo).update(
            state=Photo.State.PENDING,
            view_sha256=view,
            thumbnail_sha256=thumbnail,
            cluster=cluster,
            lease_until=None,
            **{f"phash_{band}": value for band, value in enumerate(derived.bands)},
        )
        if kept:
            remember(photo, derived.bands, cluster)
    if not kept:  # withdrawn while we decoded it, or our lease ran out: leave no bytes behind
        discard(f"views/{view}", view_sha256=view)
        discard(f"thumbnails/{thumbnail}", thumbnail_sha256=thumbnail)
    return kept == 1


def _set_aside(photo: Photo, why: str) -> bool:
    return _ours(photo).update(state=Photo.State.BROKEN, problem=why, lease_until=None) == 1


def _ours(photo: Photo) -> QuerySet[Photo]:
    # The attempt number is the fence: a worker that slept through its lease writes nothing.
    return Photo.objects.filter(pk=photo.pk, state=Photo.State.RECEIVED, attempts=photo.attempts)
