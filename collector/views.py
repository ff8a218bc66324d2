"""Public derivatives of accepted photos. Original bytes are never served."""

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from collector.models import Photo
from collector.serializers import ProblemSerializer
from collector.storage import MissingObject, store

MEDIA_CACHE_S = 3600  # seconds; a withdrawn photo is gone from caches within the hour


class Media(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()

    @extend_schema(operation_id="media", responses={(200, "image/jpeg"): OpenApiTypes.BINARY, 404: ProblemSerializer})
    def get(self, request: Request, sha256: str) -> HttpResponse:
        """A view (about 1000 pixels) or thumbnail (320 pixels) of an accepted photo, by its digest."""
        for column, kind in (("view_sha256", "views"), ("thumbnail_sha256", "thumbnails")):
            if Photo.objects.filter(state=Photo.State.ACCEPTED, **{column: sha256}).exists():
                return picture(f"{kind}/{sha256}", cache=f"public, max-age={MEDIA_CACHE_S}")
        raise Http404


def picture(key: str, *, cache: str) -> HttpResponse:
    """One stored JPEG, with headers that leave a browser nothing to do with it but show it. Raises Http404."""
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
