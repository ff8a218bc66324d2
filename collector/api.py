"""The phone's HTTP API: each call checks its shape, calls one verb, and answers."""

from datetime import date
from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector import challenges, direct, erasure, intake, volunteers
from collector.errors import NotAnAllowedFormat, UnknownPhoto, UnknownRecognizer
from collector.models import Photo, Recognizer, Volunteer
from collector.serializers import (
    AnnouncedSerializer,
    AnnouncementSerializer,
    ChallengeSerializer,
    ErasureSerializer,
    PhotoSerializer,
    ProblemSerializer,
    RecognizerSerializer,
    RegisteredSerializer,
    RegistrationSerializer,
)
from collector.signals import photo_described
from collector.tasks import develop
from config.errors import PROBLEM_TYPE

PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp")


def problems(*statuses: int) -> dict[tuple[int, str], Any]:
    """The error answers of a call, for the schema."""
    return {(status, PROBLEM_TYPE): ProblemSerializer for status in statuses}


def volunteer_of(request: Request) -> Volunteer:
    """The authenticated volunteer; IsAuthenticated has run before."""
    assert isinstance(request.user, Volunteer)
    return request.user


class Volunteers(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()

    @extend_schema(
        operation_id="register",
        request=RegistrationSerializer,
        responses={201: RegisteredSerializer, **problems(400, 409, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """Join with consent; the token in the answer is shown once."""
        asked = RegistrationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        volunteer, token = volunteers.register(
            consent=asked.validated_data["consent"],
            handle=asked.validated_data.get("handle") or None,
            address=request.META["REMOTE_ADDR"],
        )
        answer = {"id": volunteer.pk, "token": token, "handle": volunteer.handle, "consent_version": volunteer.consent_version}
        return Response(RegisteredSerializer(answer).data, status=201)


class Me(APIView):
    @extend_schema(operation_id="erase_me", request=None, responses={200: ErasureSerializer, **problems(401)})
    def delete(self, request: Request) -> Response:
        """Erase the account: all photos are withdrawn and the token stops working. The answer is the receipt."""
        return Response(ErasureSerializer(erasure.erase(volunteer=volunteer_of(request))).data)


class Recognizers(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="list_recognizers", responses=RecognizerSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What there is to recognise, with the ordered labels."""
        active = Recognizer.objects.filter(active=True).prefetch_related("labels")
        return Response(RecognizerSerializer(active, many=True).data)


class TodaysChallenge(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="todays_challenge", responses={200: ChallengeSerializer, **problems(404)})
    def get(self, request: Request, slug: str) -> Response:
        """Today's challenge (UTC)."""
        recognizer = Recognizer.objects.filter(slug=slug, active=True).first()
        if recognizer is None or not recognizer.labels.exists():
            raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
        today: date = timezone.now().date()
        return Response(ChallengeSerializer(challenges.todays(recognizer=recognizer, day=today)).data)


class Photos(APIView):
    parser_classes = ()  # the body is the photo: it is read as a stream, never parsed

    @extend_schema(
        operation_id="send_photo",
        parameters=[
            OpenApiParameter("recognizer", str, required=True),
            OpenApiParameter("label", str, required=True, description="the label that the volunteer claims"),
            OpenApiParameter("challenge", int, description="the id of the challenge that this photo answers"),
        ],
        request=dict.fromkeys(PHOTO_TYPES, OpenApiTypes.BINARY),
        responses={200: PhotoSerializer, 201: PhotoSerializer, **problems(400, 401, 404, 409, 410, 411, 413, 415, 422, 429)},
    )
    def put(self, request: Request, photo_id: UUID) -> Response:
        """Send a photo under a UUID that the phone made. Sending the same bytes again is safe and answers 200."""
        volunteer = volunteer_of(request)
        if (request.content_type or "").partition(";")[0].strip().lower() not in PHOTO_TYPES:
            raise NotAnAllowedFormat(f"Send Content-Type: {', '.join(PHOTO_TYPES)}.", content_type=request.content_type or "")
        query = {name: request.query_params.get(name, "") for name in ("recognizer", "label", "challenge")}
        recognizer, label, challenge = intake.target(**query)
        if intake.known(photo_id=photo_id, volunteer=volunteer, sent_sha256=None) is None:
            intake.may_send(volunteer)
        body, digest = intake.read_body(request._request, request.META.get("CONTENT_LENGTH") or None)
        photo, created = intake.receive(
            photo_id=photo_id,
            volunteer=volunteer,
            recognizer=recognizer,
            label=label,
            challenge=challenge,
            body=body,
            sent_sha256=digest,
        )
        if created:
            develop.ring(str(photo_id))
        return Response(PhotoSerializer(photo).data, status=201 if created else 200)

    @extend_schema(operation_id="get_photo", responses={200: PhotoSerializer, **problems(401, 404)})
    def get(self, request: Request, photo_id: UUID) -> Response:
        """State, decision, and what it was worth, as far as they are known."""
        photo = Photo.objects.filter(pk=photo_id, volunteer=volunteer_of(request)).select_related("claimed", "label").first()
        if photo is None:
            raise UnknownPhoto(photo=str(photo_id))
        answer = dict(PhotoSerializer(photo).data)
        for _, facts in photo_described.send(sender=Photo, photo=photo):
            answer |= cast(dict[str, Any], facts or {})
        return Response(answer)

    @extend_schema(operation_id="withdraw_photo", request=None, responses={200: ErasureSerializer, **problems(401, 404)})
    def delete(self, request: Request, photo_id: UUID) -> Response:
        """Withdraw one photo: its bytes are removed, later snapshots and editions leave it out. The answer is a receipt."""
        receipt = erasure.withdraw(photo_id=photo_id, volunteer=volunteer_of(request))
        return Response(ErasureSerializer(receipt).data)


class DirectUploads(APIView):
    @extend_schema(
        operation_id="announce_photo",
        parameters=[
            OpenApiParameter("recognizer", str, required=True),
            OpenApiParameter("label", str, required=True, description="the label that the volunteer claims"),
            OpenApiParameter("challenge", int, description="the id of the challenge that this photo answers"),
        ],
        request=AnnouncementSerializer,
        responses={200: PhotoSerializer, 201: AnnouncedSerializer, **problems(400, 401, 404, 409, 410, 413, 415, 422, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Ask where to put a photo in the object store; call again after the PUT: 200 once it is taken in, or why it is not."""
        asked = AnnouncementSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        query = {name: request.query_params.get(name, "") for name in ("recognizer", "label", "challenge")}
        recognizer, label, challenge = intake.target(**query)
        answer = direct.announce(
            volunteer=volunteer_of(request),
            photo_id=photo_id,
            recognizer=recognizer,
            label=label,
            challenge=challenge,
            length=asked.validated_data["bytes"],
            sha256=asked.validated_data["sha256"],
        )
        if isinstance(answer, Photo):
            return Response(PhotoSerializer(answer).data)
        return Response(AnnouncedSerializer({**answer._asdict(), "method": "PUT"}).data, status=201)
