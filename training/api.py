"""What phones ask of RELEASE: the manifest, the keys that sign it, the files it names; and what they report back."""

import hashlib

from django.conf import settings
from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector import limits
from collector.addresses import client_address
from collector.api import problems
from collector.errors import UnknownRecognizer
from collector.models import Recognizer
from collector.negotiation import AnyAccept
from config.fields import without_nul
from training import benchmarks, blobs, deltas, held, keys, release
from training.errors import BlobUnavailable, RangeNotSatisfiable
from training.serializers import BenchmarkSerializer, KeysSerializer

# What a phone may say of itself, and in how many characters, as in Benchmark: what is longer is no platform of a release.
ABOUT = {"device": 64, "app": 20, "platform": 20, "tier": 20}
IMMUTABLE = "public, max-age=31536000, immutable"  # a blob is named by its digest: a year, the most that is customary
_IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="ETag of the last answer")


class _Public(APIView):
    authentication_classes = ()
    permission_classes = [AllowAny]
    content_negotiation_class = AnyAccept


class Manifest(_Public):
    @extend_schema(
        operation_id="get_manifest",
        parameters=[
            OpenApiParameter("channel", str, description=f"default: {release.STABLE}"),
            OpenApiParameter("device", str, description="a random id; without it, only full rollouts are offered"),
            OpenApiParameter(
                "app", str, description="the app's version, e.g. 1.10: the newest release that it can run is offered"
            ),
            OpenApiParameter("platform", str, description="e.g. android; without it, nothing is offered that is only for some"),
            OpenApiParameter("tier", str, description="the device's tier, as the app classes it; as `platform`"),
            _IF_NONE_MATCH,
        ],
        responses={
            (200, "application/jose"): OpenApiTypes.STR,
            304: OpenApiResponse(description="as before"),
            **problems(404),
        },
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """What should this phone run? A compact JWS by a key that /.well-known/photorally-keys.json lists."""
        channel = without_nul(request.query_params.get("channel") or release.STABLE)
        phone = {name: request.query_params.get(name, "")[:length] for name, length in ABOUT.items()}
        signed = held.answer(slug=slug, channel=channel, phone=phone, known=request.headers.get("If-None-Match", ""))
        headers = {"ETag": signed.etag, "Cache-Control": f"public, max-age={settings.MANIFEST_CACHE_S}"}
        whole = HttpResponse(signed.token, content_type="application/jose", headers=headers)
        return _conditional(request, signed.etag, whole)


class Keys(_Public):
    @extend_schema(
        operation_id="get_keys",
        parameters=[_IF_NONE_MATCH],
        responses={200: KeysSerializer, 304: OpenApiResponse(description="as before")},
    )
    def get(self, request: Request) -> HttpResponse:
        """Which keys may sign manifests: the root's word, and how this root follows from the first. docs/phone/README.md."""
        content = keys.published().encode()
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={settings.MANIFEST_CACHE_S}"}
        return _conditional(request, etag, HttpResponse(content, content_type="application/json", headers=headers))


class Blob(_Public):
    @extend_schema(
        operation_id="get_blob",
        parameters=[
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="one range, e.g. bytes=1000-"),
            OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="the ETag that the range belongs to"),
            OpenApiParameter("Accept-Encoding", str, OpenApiParameter.HEADER, description="zstd; dcz with a dictionary"),
            OpenApiParameter(
                "Available-Dictionary",
                str,
                OpenApiParameter.HEADER,
                description=":<base64 of the SHA-256 of a file that the phone has>: (RFC 9842)",
            ),
            _IF_NONE_MATCH,
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="as before"),
            307: OpenApiResponse(description="the bucket has it"),
            **problems(404, 416, 503),
        },
    )
    def get(self, request: Request, sha256: str) -> HttpResponse:
        """A released file, named by the SHA-256 of its bytes; smaller where the phone says what it can read it from."""
        length, etag, headers = blobs.released_bytes(sha256), f'"{sha256}"', dict(_BLOB_HEADERS)
        asked = request.headers.get("Range", "") if request.method == "GET" else ""  # RFC 9110: Range is GET's alone
        # A range is one of the file itself: what a phone has of it so far is never a part of an encoding.
        if not asked and (smaller := _smaller(request, sha256)):
            return smaller
        unchanged = _conditional(request, etag, HttpResponse(headers=headers | {"ETag": etag}))
        if unchanged.status_code != 200:
            return unchanged
        if address := blobs.elsewhere(sha256):
            headers |= {"Location": address, "Cache-Control": f"private, max-age={settings.BLOB_REDIRECT_S // 2}"}
            return HttpResponse(status=307, headers=headers)
        headers |= {"ETag": etag, "Accept-Ranges": "bytes"}
        try:
            part = blobs.wanted(asked, request.headers.get("If-Range", ""), etag=etag, length=length)
        except RangeNotSatisfiable as problem:
            answer = Response(problem.body(), status=416, content_type="application/problem+json")
            answer["Content-Range"] = f"bytes */{length}"
            return answer
        start, stop = part or (0, length)
        headers["Content-Length"] = str(stop - start)
        if part:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{length}"
        content = b"" if request.method == "HEAD" else blobs.read(sha256, start, stop)
        return HttpResponse(content, status=206 if part else 200, content_type="application/octet-stream", headers=headers)


_BLOB_HEADERS = {
    "Cache-Control": IMMUTABLE,
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding, Available-Dictionary",
    "Use-As-Dictionary": 'match="/blobs/*"',  # RFC 9842: the next file may be told by this one
}


def _smaller(request: Request, sha256: str) -> HttpResponse | None:
    """The file in an encoding that the phone accepts, if there is one: another representation with an ETag of its own."""
    asked, available = request.headers.get("Accept-Encoding", ""), request.headers.get("Available-Dictionary", "")
    found = deltas.chosen(sha256, accept_encoding=asked, available=available)
    if found is None:
        return None
    encoding, row = found
    etag = f'"{sha256}.{row.body[:16]}"'
    headers = _BLOB_HEADERS | {"ETag": etag}
    unchanged = _conditional(request, etag, HttpResponse(headers=headers))
    if unchanged.status_code != 200:
        return unchanged
    try:
        content = b"" if request.method == "HEAD" else blobs.read(row.body, 0, row.bytes, kind=deltas.KIND)
    except BlobUnavailable:  # logged; the file itself is still there
        return None
    headers |= {"Content-Encoding": encoding, "Content-Length": str(row.bytes)}
    return HttpResponse(content, content_type="application/octet-stream", headers=headers)


class Benchmarks(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="report_benchmark",
        request=BenchmarkSerializer,
        responses={200: BenchmarkSerializer, 201: BenchmarkSerializer, **problems(400, 401, 404, 422, 429)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """What a device measured of a released file. The same device and file again replaces the report and answers 200."""
        recognizer = _recognizer(slug)
        asked = BenchmarkSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        address = client_address(request._request)
        limits.spend(limits.of_address("benchmarks", address, settings.BENCHMARKS_PER_DAY))
        row, first = benchmarks.report(recognizer=recognizer, address=address, **asked.validated_data)
        return Response(BenchmarkSerializer(row).data, status=201 if first else 200)


def _recognizer(slug: str) -> Recognizer:
    recognizer = Recognizer.objects.filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
    return recognizer


def _conditional(request: Request, etag: str, response: HttpResponse) -> HttpResponse:
    """The response, or 304 (412 for If-Match) where the request's conditions say so."""
    answer = get_conditional_response(request._request, etag=etag, response=response)
    assert isinstance(answer, HttpResponse)
    return answer
