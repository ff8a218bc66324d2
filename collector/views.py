"""Public derivatives of accepted photos, and the probes that operators ask."""

from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from collector.models import Photo
from collector.storage import MissingObject, store

MEDIA_CACHE_S = 3600  # seconds; a withdrawn photo is gone from caches within the hour


@require_safe
def media(request: HttpRequest, sha256: str) -> HttpResponse:
    """A view or thumbnail of an accepted photo, by its digest. Original bytes are never served."""
    for column, kind in (("view_sha256", "views"), ("thumbnail_sha256", "thumbnails")):
        if Photo.objects.filter(state=Photo.State.ACCEPTED, **{column: sha256}).exists():
            return picture(f"{kind}/{sha256}", cache=f"public, max-age={MEDIA_CACHE_S}")
    raise Http404


def picture(key: str, *, cache: str) -> HttpResponse:
    """One stored JPEG, with headers that leave a browser nothing to do with it but show it."""
    try:
        data = store().get(key)
    except MissingObject:
        raise Http404 from None
    return HttpResponse(
        data,
        content_type="image/jpeg",
        headers={
            "Cache-Control": cache,
            "ETag": f'"{key.rpartition("/")[2]}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: the process answers."""
    return JsonResponse({"alive": True})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Able to work: the database answers and the store can be asked. 503 says which part does not."""
    broken: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # any driver's error means the same here: not ready, and this is why
        broken["database"] = type(error).__name__
    try:
        store().size(f"views/{'0' * 64}")
    except Exception as error:  # likewise
        broken["store"] = type(error).__name__
    return JsonResponse({"ready": not broken, "broken": broken}, status=503 if broken else 200)
