"""The phone's HTTP API: each call checks its shape, calls one verb, and answers."""

from datetime import date
from typing import Any, cast
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector import challenges, direct, erasure, intake, invitations, takeout, volunteers
from collector.addresses import client_address
from collector.body import whole_body
from collector.errors import NotAnAllowedFormat, UnknownPhoto, UnknownRecognizer
from collector.models import Photo, Volunteer
from collector.negotiation import AnyAccept
from collector.serializers import (
    AnnouncedSerializer,
    AnnouncementSerializer,
    ChallengeSerializer,
    ErasureSerializer,
    InvitationSerializer,
    PhotoSerializer,
    ProblemSerializer,
    RecognizerSerializer,
    RegisteredSerializer,
    RegistrationSerializer,
    described,
)
from collector.signals import photo_described
from collector.tasks import develop

NAME = {"type": "string", "minLength": 1}
PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp")


def problems(*statuses: int) -> dict[int, Any]:
    """The error answers of a call, for the schema."""
    return dict.fromkeys(statuses, ProblemSerializer)


def volunteer_of(request: Request) -> Volunteer:
    """The authenticated volunteer; IsAuthenticated has run before."""
    assert isinstance(request.user, Volunteer)
    return request.user


def stranger_or_volunteer(request: Request) -> Volunteer | None:
    """Who asks where no token is needed: the volunteer where one was sent, else None."""
    return request.user if isinstance(request.user, Volunteer) else None


class Volunteers(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()

    @extend_schema(
        operation_id="register",
        request=RegistrationSerializer,
        responses={201: RegisteredSerializer, **problems(400, 403, 409, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """Join with consent; the token in the answer is shown once."""
        asked = RegistrationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        volunteer, token = volunteers.register(
            consent=asked.validated_data["consent"],
            handle=asked.validated_data.get("handle") or None,
            address=client_address(request._request),
            invitation=asked.validated_data.get("invitation") or None,
        )
        answer = {"id": volunteer.pk, "token": token, "handle": volunteer.handle, "consent_version": volunteer.consent_version}
        return Response(RegisteredSerializer(answer).data, status=201)


class Me(APIView):
    @extend_schema(operation_id="erase_me", request=None, responses={200: ErasureSerializer, **problems(401)})
    def delete(self, request: Request) -> Response:
        """Erase the account: all photos are withdrawn and the token stops working. The answer is the receipt."""
        receipt = erasure.erase(volunteer=volunteer_of(request))
        return Response(ErasureSerializer(erasure.described(receipt)).data)


class Takeout(APIView):
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="take_out",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **problems(401, 429)},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Everything held about you as a zip: data.json, README.txt and your photos, without the metadata they came with."""
        parts = takeout.export(volunteer=volunteer_of(request))
        headers = {
            "Content-Disposition": 'attachment; filename="photorally-takeout.zip"',
            "Cache-Control": "private, no-store",
            "X-Accel-Buffering": "no",  # nginx would write it to its disk first
        }
        return StreamingHttpResponse(parts, content_type="application/zip", headers=headers)


class Erasures(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()  # the token is gone with the account; the receipt's number is the secret

    @extend_schema(operation_id="get_receipt", responses={200: ErasureSerializer, **problems(404)})
    def get(self, request: Request, erasure_id: UUID) -> Response:
        """The receipt of a withdrawal as it stands now, for whoever knows its number: the DELETE answered it to you alone."""
        answer = ErasureSerializer(erasure.receipt_of(erasure_id=erasure_id)).data
        return Response(answer, headers={"Cache-Control": "no-store"})


class MyInvitations(APIView):
    @extend_schema(
        operation_id="redeem_invitation",
        request=InvitationSerializer,
        responses={200: RecognizerSerializer, **problems(400, 401, 403, 429)},
    )
    def post(self, request: Request) -> Response:
        """Join a closed recognizer with an invitation code. The answer is the recognizer."""
        asked = InvitationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        recognizer = invitations.join(
            volunteer=volunteer_of(request), code=asked.validated_data["code"], address=client_address(request._request)
        )
        return Response(RecognizerSerializer(recognizer).data)


class Recognizers(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="list_recognizers", responses={200: RecognizerSerializer(many=True), **problems(401)})
    def get(self, request: Request) -> Response:
        """What there is to recognise, with the ordered labels. Closed ones are listed to their members, by the token."""
        listed = invitations.open_to(stranger_or_volunteer(request)).prefetch_related("labels")
        return Response(RecognizerSerializer(listed, many=True).data)


class TodaysChallenge(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="todays_challenge", responses={200: ChallengeSerializer, **problems(401, 404)})
    def get(self, request: Request, slug: str) -> Response:
        """Today's challenge (UTC)."""
        recognizer = invitations.open_to(stranger_or_volunteer(request)).filter(slug=slug).first()
        if recognizer is None or not recognizer.labels.exists():
            raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
        today: date = timezone.now().date()
        return Response(ChallengeSerializer(challenges.todays(recognizer=recognizer, day=today)).data)


class Photos(APIView):
    parser_classes = ()  # the body is the photo: it is read as a stream, never parsed
    reads_its_own_body = True  # and counts it, see collector.body

    @extend_schema(
        operation_id="send_photo",
        parameters=[
            OpenApiParameter("recognizer", NAME, required=True),
            OpenApiParameter("label", NAME, required=True, description="the label that the volunteer claims"),
            OpenApiParameter("challenge", int, description="the id of the challenge that this photo answers"),
        ],
        request=dict.fromkeys(PHOTO_TYPES, OpenApiTypes.BINARY),
        responses={
            200: PhotoSerializer,
            201: PhotoSerializer,
            **problems(400, 401, 403, 404, 408, 409, 410, 411, 413, 415, 422, 429, 503),
        },
    )
    def put(self, request: Request, photo_id: UUID) -> Response:
        """Send a photo under a UUID that the phone made. Sending the same bytes again is safe and answers 200."""
        volunteer = volunteer_of(request)
        if (request.content_type or "").partition(";")[0].strip().lower() not in PHOTO_TYPES:
            raise NotAnAllowedFormat(f"Send Content-Type: {', '.join(PHOTO_TYPES)}.", content_type=request.content_type or "")
        query = {name: request.query_params.get(name, "") for name in ("recognizer", "label", "challenge")}
        recognizer, label, challenge = intake.target(**query)
        limits = intake.tries(volunteer, client_address(request._request))
        created = False
        try:
            intake.may_send(volunteer, limits, photo_id=photo_id, recognizer=recognizer)
            with whole_body(request._request, request.META.get("CONTENT_LENGTH") or None) as body:
                photo, created = intake.receive(
                    photo_id=photo_id,
                    volunteer=volunteer,
                    recognizer=recognizer,
                    label=label,
                    challenge=challenge,
                    body=body,
                    limits=limits,
                )
        finally:
            if not created:
                intake.count_try(limits)
        if created:
            develop.ring(str(photo_id))
        return Response(described(photo), status=201 if created else 200)

    @extend_schema(operation_id="get_photo", responses={200: PhotoSerializer, **problems(401, 404)})
    def get(self, request: Request, photo_id: UUID) -> Response:
        """State, decision, and what it was worth, as far as they are known."""
        photo = Photo.objects.filter(pk=photo_id, volunteer=volunteer_of(request)).select_related("claimed", "label").first()
        if photo is None:
            raise UnknownPhoto(photo=str(photo_id))
        answer = described(photo)
        for _, facts in photo_described.send(sender=Photo, photo=photo):
            answer |= cast(dict[str, Any], facts or {})
        return Response(answer)

    @extend_schema(operation_id="withdraw_photo", request=None, responses={200: ErasureSerializer, **problems(401, 404)})
    def delete(self, request: Request, photo_id: UUID) -> Response:
        """Withdraw one photo: its bytes are removed, later snapshots and editions leave it out. The answer is a receipt."""
        receipt = erasure.withdraw(photo_id=photo_id, volunteer=volunteer_of(request))
        return Response(ErasureSerializer(erasure.described(receipt)).data)


class DirectUploads(APIView):
    @extend_schema(
        operation_id="announce_photo",
        parameters=[
            OpenApiParameter("recognizer", NAME, required=True),
            OpenApiParameter("label", NAME, required=True, description="the label that the volunteer claims"),
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
        volunteer = volunteer_of(request)
        intake.may_begin(volunteer, client_address(request._request), photo_id=photo_id, recognizer=recognizer)
        answer = direct.announce(
            volunteer=volunteer,
            photo_id=photo_id,
            recognizer=recognizer,
            label=label,
            challenge=challenge,
            length=asked.validated_data["bytes"],
            sha256=asked.validated_data["sha256"],
        )
        if isinstance(answer, Photo):
            return Response(described(answer))
        return Response(AnnouncedSerializer({**answer._asdict(), "method": "PUT"}).data, status=201)
