"""Public derivatives of accepted photos. Original bytes are never served."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from collector.models import Photo
from collector.negotiation import AnyAccept
from collector.serializers import ProblemSerializer
from collector.storage import MissingObject, store

MEDIA_CACHE_S = 3600  # seconds; a withdrawn photo is gone from caches within the hour


class Media(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="media",
        parameters=[OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="ETag of the last answer")],
        responses={
            (200, "image/jpeg"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="as before"),
            404: ProblemSerializer,
        },
    )
    def get(self, request: Request, sha256: str) -> HttpResponse:
        """A view (about 1000 pixels) or thumbnail (320 pixels) of an accepted photo, by its digest."""
        for column, kind in (("view_sha256", "views"), ("thumbnail_sha256", "thumbnails")):
            if Photo.objects.filter(state=Photo.State.ACCEPTED, **{column: sha256}).exists():
                # cross-origin: the pages that show it may stand on another host, and it is licensed to be shown anywhere.
                cache = f"public, max-age={MEDIA_CACHE_S}"
                return picture(request._request, f"{kind}/{sha256}", cache=cache, embedding="cross-origin")
        raise Http404


def picture(request: HttpRequest, key: str, *, cache: str, embedding: str = "same-origin") -> HttpResponse:
    """One stored JPEG, with headers that leave a browser nothing to do with it but show it. Raises Http404."""
    etag = f'"{key.rpartition("/")[2]}"'
    headers = {
        "Cache-Control": cache,
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": embedding,
    }
    answer = get_conditional_response(request, etag=etag, response=HttpResponse(headers=headers))
    assert isinstance(answer, HttpResponse)
    if answer.status_code != 200:
        return answer
    try:
        data = store().get(key)
    except MissingObject:
        raise Http404 from None
    # Django sends no body to a HEAD, and the length of this one.
    return HttpResponse(data, content_type="image/jpeg", headers=headers)
