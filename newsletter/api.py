"""Voting, as the phone sees it: each call checks its shape, calls one verb, and answers."""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector.api import problems, volunteer_of
from collector.errors import UnknownRecognizer
from collector.invitations import open_to
from collector.models import Photo, Recognizer, Volunteer
from config import addresses
from newsletter import pairs, votes
from newsletter.serializers import (
    BallotSerializer,
    JudgementRequestSerializer,
    JudgementSerializer,
    PairBallotSerializer,
    VoteRequestSerializer,
    VoteSerializer,
)


class Votes(APIView):
    @extend_schema(
        operation_id="vote",
        request=VoteRequestSerializer,
        responses={200: VoteSerializer, 201: VoteSerializer, **problems(400, 401, 403, 404, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Vote on somebody else's photo. 201 the first time; 200 when it is repeated or changed."""
        asked = VoteRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        vote = votes.cast(volunteer=volunteer_of(request), photo_id=photo_id, like=asked.validated_data["like"])
        return Response(VoteSerializer(vote).data, status=201 if vote.is_new else 200)


class Judgements(APIView):
    @extend_schema(
        operation_id="judge",
        request=JudgementRequestSerializer,
        responses={200: JudgementSerializer, 201: JudgementSerializer, **problems(400, 401, 404, 409, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """Say which of two photos of a ballot is the better find. 201 the first time; 200 when it is repeated or changed."""
        asked = JudgementRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = pairs.judge(volunteer=volunteer_of(request), **asked.validated_data)
        told = {"photos": [made.low_id, made.high_id], "better_id": made.better_id, "compared_at": made.compared_at}
        return Response(JudgementSerializer(told).data, status=201 if made.is_new else 200)


class PairBallots(APIView):
    @extend_schema(operation_id="ballot_of_pairs", responses={200: PairBallotSerializer, **problems(401, 404)})
    def get(self, request: Request, slug: str) -> Response:
        """Pairs of photos of one challenge: nobody's name, none of your own, none that you judged."""
        volunteer = volunteer_of(request)
        shown = pairs.ballot(recognizer=_open(volunteer, slug), volunteer=volunteer, count=settings.BALLOT_PAIRS)
        rows = [
            {"token": pair.token, "first": _on_ballot(pair.first, request), "second": _on_ballot(pair.second, request)}
            for pair in shown
        ]
        return Response(PairBallotSerializer({"pairs": rows}).data)


class Ballots(APIView):
    @extend_schema(operation_id="ballot", responses={200: BallotSerializer, **problems(401, 404)})
    def get(self, request: Request, slug: str) -> Response:
        """Photos to vote on: nobody's name, none of your own, none that you voted on."""
        volunteer = volunteer_of(request)
        photos = votes.ballot(recognizer=_open(volunteer, slug), volunteer=volunteer, count=settings.BALLOT_PHOTOS)
        return Response(BallotSerializer({"photos": [_on_ballot(photo, request) for photo in photos]}).data)


def _open(volunteer: Volunteer, slug: str) -> Recognizer:
    recognizer = open_to(volunteer).filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
    return recognizer


def _on_ballot(photo: Photo, request: Request) -> dict[str, Any]:
    return {
        "id": photo.pk,
        "label": (photo.label or photo.claimed).slug,
        "image": request.build_absolute_uri(addresses.media(photo.view_sha256)),
        "alt": votes.alt_without_names(photo),
    }
