"""INTAKE, over HTTP: tus 1.0.0, so that a phone whose connection breaks goes on where it stopped.

Source: tus resumable upload protocol 1.0.0 (tus.io), with creation, creation-with-upload, checksum, expiration, termination.
"""

import base64
import binascii
import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector import intake, uploads
from collector.addresses import client_address
from collector.api import problems, volunteer_of
from collector.errors import BadHeader, BadMetadata, LengthRequired, WrongContentType, WrongVersion
from collector.models import Upload
from collector.staging import Standing
from collector.tasks import develop
from config.errors import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = {"sha1": 20, "sha256": 32}  # name → bytes of a digest; the protocol demands SHA-1, against accidents only
OFFSET_TYPE = "application/offset+octet-stream"
DIGITS_MOST = 15  # of a number in a header
METADATA_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII without space and comma
ASKED = ("photo", "recognizer", "label")  # keys of Upload-Metadata that must be there; `challenge` may be


def header(name: str, description: str, *, required: bool = False, response: bool | list[int] = False, **more: Any) -> Any:
    return OpenApiParameter(
        name,
        more.pop("type", str),
        OpenApiParameter.HEADER,
        required=required,
        description=description,
        response=response,
        **more,
    )


COUNT = {"type": "integer", "minimum": 0, "maximum": 10**DIGITS_MOST - 1}
BASE64 = "([A-Za-z0-9+/]{4})+"  # for the schema; padding is taken too
SPOKEN = header("Tus-Resumable", "the protocol's version", required=True, enum=[VERSION])
CHECKSUM = header(
    "Upload-Checksum", "`sha1` or `sha256`, a space, the digest in base64", pattern=r"^(sha1|sha256) [A-Za-z0-9+/]+={0,2}$"
)
STANDS = header("Upload-Offset", "bytes stored", type=COUNT, response=[200, 201, 204])
EXPIRES = header("Upload-Expires", "when it is removed (RFC 9110 date)", response=[200, 201, 204])
BECAME = header("Content-Location", "the photo, once it is taken in", response=[200, 201, 204])


class TusView(APIView):
    """What all calls have in common: the version, the token, and the protocol's headers on every answer."""

    parser_classes = ()  # bodies are read as streams
    reads_its_own_body = True  # and counts it, see collector.body

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # "MUST be interpreted as the request's method" (core protocol): for networks that let only POST through. Whoever may
        # send it holds the token, so it opens no door.
        if override := request.headers.get("X-HTTP-Method-Override"):
            request.method = override.upper()
        return super().dispatch(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self._asks_what_we_can() else super().get_authenticators()

    def get_permissions(self) -> Any:
        return [] if self._asks_what_we_can() else super().get_permissions()

    def _asks_what_we_can(self) -> bool:
        """OPTIONS needs no token: the answer is no secret. (The schema's generator has no request at all.)"""
        return self.request is not None and self.request.method == "OPTIONS"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        answered = request.method in self.allowed_methods and request.method != "OPTIONS"  # 405 otherwise
        if answered and request.headers.get("Tus-Resumable") != VERSION:
            self.fail_whatever_the_version(request)
            raise WrongVersion("This server speaks tus 1.0.0.", versions=[VERSION])

    def fail_whatever_the_version(self, request: Request) -> None:
        """An upload that is not there, or a beginning that says nothing, is wrong in every version: that is said first."""
        raise NotImplementedError

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        if response.status_code == 412:
            response["Tus-Version"] = VERSION
        if request.method == "HEAD":
            response.data = None  # RFC 9110 §9.3.2: no body, not even a problem's
        return response

    def options(self, request: HttpRequest | Request, *args: Any, **kwargs: Any) -> Response:
        """What this server can."""
        can = {"Tus-Version": VERSION, "Tus-Max-Size": str(settings.PHOTO_MAX_BYTES), "Tus-Extension": EXTENSIONS}
        return Response(status=204, headers=can | {"Tus-Checksum-Algorithm": ",".join(ALGORITHMS)})


class Uploads(TusView):
    def fail_whatever_the_version(self, request: Request) -> None:
        names = names_of(request.headers.get("Upload-Metadata", ""))
        intake.target(recognizer=names["recognizer"], label=names["label"], challenge=names["challenge"])

    @extend_schema(
        operation_id="tus_begin",
        parameters=[
            SPOKEN,
            header("Upload-Length", "bytes of the whole photo", required=True, type=COUNT),
            header(
                "Upload-Metadata",
                "`photo` (a UUID), `recognizer`, `label` and perhaps `challenge`: pairs of key and base64, separated by commas;"
                " in this order or another",
                required=True,
                pattern=rf"^photo {BASE64},recognizer {BASE64},label {BASE64}(,challenge {BASE64})?$",
            ),
            CHECKSUM,
            header("Location", "the upload's address", response=[201]),
            STANDS,
            EXPIRES,
            BECAME,
        ],
        request=None,  # the description says it: few tools that read schemas can send this type
        responses={
            201: OpenApiResponse(description="begun"),
            **problems(400, 401, 404, 409, 410, 411, 412, 413, 415, 422, 423, 429, 460),
        },
    )
    def post(self, request: Request) -> Response:
        """Begin a resumable upload; bytes may come along (`application/offset+octet-stream`). A refusal leaves nothing."""
        volunteer = volunteer_of(request)
        metadata = request.headers.get("Upload-Metadata", "")
        names = names_of(metadata)
        recognizer, label, challenge = intake.target(**{name: names[name] for name in ("recognizer", "label", "challenge")})
        photo_id, length = photo_of(names), number(request, "Upload-Length")
        sent, checksum = sent_bytes(request), checksum_of(request)
        if sent and not is_offset_type(request):
            raise WrongContentType(content_type=request.content_type or "")
        intake.may_begin(volunteer, client_address(request._request), photo_id=photo_id, recognizer=recognizer)
        upload = uploads.begin(
            volunteer=volunteer,
            photo_id=photo_id,
            recognizer=recognizer,
            label=label,
            challenge=challenge,
            length=length,
            metadata=metadata,
        )
        stands = Standing(upload)
        if sent:
            try:
                stands = uploads.append(
                    upload_id=upload.pk,
                    volunteer=volunteer,
                    offset=0,
                    stream=request._request,
                    length=sent,
                    checksum=checksum,
                )
            except Problem:
                uploads.give_up(upload)  # its address would be told to nobody
                raise
        answer = answered(stands, status=201)
        answer["Location"] = reverse("tus_upload", kwargs={"upload_id": upload.pk})
        return answer


class OneUpload(TusView):
    def fail_whatever_the_version(self, request: Request) -> None:
        uploads.own(self.kwargs["upload_id"], volunteer_of(request))

    def head(self, request: Request, upload_id: UUID) -> Response:
        """How many bytes are here."""
        stands = uploads.standing(upload_id=upload_id, volunteer=volunteer_of(request))
        answer = answered(stands, status=200)
        answer["Upload-Length"] = str(stands.upload.length)
        if stands.upload.metadata:
            answer["Upload-Metadata"] = stands.upload.metadata
        return answer

    @extend_schema(
        operation_id="tus_append",
        parameters=[
            SPOKEN,
            header("Upload-Offset", "where these bytes begin", required=True, type=COUNT),
            CHECKSUM,
            STANDS,
            EXPIRES,
            BECAME,
        ],
        request=None,
        responses={
            204: OpenApiResponse(description="stored"),
            **problems(400, 401, 404, 409, 410, 411, 412, 413, 415, 422, 423, 429, 460),
        },
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:
        """Add bytes (`application/offset+octet-stream`). With the last ones it is as if the photo had come by PUT."""
        if not is_offset_type(request):
            uploads.own(upload_id, volunteer_of(request))  # 404 before 415
            raise WrongContentType(content_type=request.content_type or "")
        stands = uploads.append(
            upload_id=upload_id,
            volunteer=volunteer_of(request),
            offset=number(request, "Upload-Offset"),
            stream=request._request,
            length=sent_bytes(request),
            checksum=checksum_of(request),
        )
        return answered(stands, status=204)

    @extend_schema(
        operation_id="tus_end",
        parameters=[SPOKEN],
        request=None,
        responses={204: OpenApiResponse(description="ended"), **problems(401, 404, 410, 412, 423)},
    )
    def delete(self, request: Request, upload_id: UUID) -> Response:
        """End an upload and remove its bytes. A photo that it has become stays."""
        uploads.abandon(upload_id=upload_id, volunteer=volunteer_of(request))
        return Response(status=204)


def answered(stands: Standing, *, status: int) -> Response:
    """An answer that says how an upload stands; a new photo is rung for."""
    upload = stands.upload
    if stands.photo is not None and stands.created:
        develop.ring(str(stands.photo.pk))
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": http_date(upload.expires_at.timestamp())}
    if upload.state == Upload.State.TAKEN:
        headers["Content-Location"] = reverse("photo", kwargs={"photo_id": upload.photo_id})
    return Response(status=status, headers=headers)


# ---- headers: strict, each wrong one is a 400 --------------------------------------------------------------------
def number(request: Request, name: str) -> int:
    """A header that must be there and be a whole number from 0."""
    raw = request.headers.get(name, "")
    if not re.fullmatch(rf"[0-9]{{1,{DIGITS_MOST}}}", raw):
        raise BadHeader(f"Send {name} as a whole number of bytes.", header=name)
    return int(raw)


def sent_bytes(request: Request) -> int:
    """Bytes of the body. Without Content-Length there are none, unless they come in chunks (RFC 9112 §6.3)."""
    raw = request.META.get("CONTENT_LENGTH") or ""
    if not raw and "Transfer-Encoding" not in request.headers:
        return 0
    if not raw:
        raise LengthRequired("Bytes are not taken in chunks: send Content-Length.")
    return number(request, "Content-Length")


def is_offset_type(request: Request) -> bool:
    return (request.content_type or "").partition(";")[0].strip().lower() == OFFSET_TYPE


def checksum_of(request: Request) -> uploads.Checksum | None:
    raw = request.headers.get("Upload-Checksum")
    if raw is None:
        return None
    algorithm, _, value = raw.partition(" ")
    digest = unbase64(value)
    if digest is None or len(digest) != ALGORITHMS.get(algorithm):
        raise BadHeader(
            f"Upload-Checksum is one of {', '.join(ALGORITHMS)}, a space, and the digest in base64.", header=raw[:80]
        )
    return uploads.Checksum(algorithm, digest)


def names_of(raw: str) -> dict[str, str]:
    """What Upload-Metadata says of photo, recognizer, label and challenge. What is no UTF-8 names nothing that we know."""
    found = parse_metadata(raw)
    if missing := [name for name in ASKED if not found.get(name)]:
        raise BadMetadata(f"It must hold {', '.join(ASKED)}; {missing[0]} is missing.", key=missing[0])
    return {name: found.get(name, b"").decode(errors="replace") for name in (*ASKED, "challenge")}


def photo_of(names: dict[str, str]) -> UUID:
    try:
        return UUID(names["photo"])
    except ValueError:
        raise BadMetadata("photo is not a UUID.", key="photo") from None


def parse_metadata(raw: str) -> dict[str, bytes]:
    """Upload-Metadata: `key base64, key base64, …`; a value may be empty. Raises BadMetadata for anything else."""
    if len(raw) > settings.UPLOAD_METADATA_MOST:
        raise BadMetadata(f"At most {settings.UPLOAD_METADATA_MOST} characters are taken.")
    found: dict[str, bytes] = {}
    for pair in raw.split(",") if raw else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        value = unbase64(encoded)
        if not METADATA_KEY.fullmatch(key) or value is None:
            raise BadMetadata("Each pair is a key, a space, and its value in base64.")
        if key in found:
            raise BadMetadata("A key stands there twice.", key=key)
        found[key] = value
    return found


def unbase64(text: str) -> bytes | None:
    """Strictly: no other characters, whole padding."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
