"""FAME, as the phone sees it: leaderboards, one's own standing and wishes, teams."""

from datetime import date
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector.addresses import client_address
from collector.api import problems, volunteer_of
from collector.errors import MissingParameter, UnknownRecognizer
from collector.invitations import open_to
from collector.models import Volunteer
from newsletter import fame, fame_names, fame_teams
from newsletter.errors import InNoTeam
from newsletter.fame_asked import DEEPEST, asked
from newsletter.fame_serializers import (
    BoardSerializer,
    MyFameSerializer,
    TeamBoardSerializer,
    TeamCodeRequestSerializer,
    TeamNameSerializer,
    TeamSerializer,
    TeamWithCodeSerializer,
    WishSerializer,
)
from newsletter.periods import KINDS

ASKED = [
    OpenApiParameter("period", str, enum=KINDS, description="a season if left out"),
    OpenApiParameter("day", date, description="YYYY-MM-DD (UTC) inside the period; today if left out"),
    OpenApiParameter("label", str, description="slug; all labels if left out"),
    OpenApiParameter("from", {"type": "integer", "minimum": 1, "maximum": DEEPEST}, description="first line, 1 is the best"),
]
IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="ETag of the last answer")


class Fame(APIView):
    @extend_schema(
        operation_id="fame",
        parameters=[*ASKED, IF_NONE_MATCH],
        responses={200: BoardSerializer, 304: None, **problems(400, 401, 404)},
    )
    def get(self, request: Request, slug: str) -> Any:
        """A page of a leaderboard, best first. 304 while nothing on it has changed."""
        board, skip = _asked(request, slug)
        etag = f'"{board.version}.{skip}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        unchanged = get_conditional_response(request._request, etag=etag, response=HttpResponse(headers=headers))
        if unchanged is not None and unchanged.status_code == 304:
            return unchanged
        lines = fame.leaderboard(board=board, limit=settings.FAME_ROWS + 1, skip=skip)
        return Response(BoardSerializer(_paged(board, lines, skip)).data, headers=headers)


class TeamFame(APIView):
    @extend_schema(operation_id="team_fame", parameters=ASKED, responses={200: TeamBoardSerializer, **problems(400, 401, 404)})
    def get(self, request: Request, slug: str) -> Response:
        """A page of the teams' leaderboard, best first."""
        board, skip = _asked(request, slug)
        lines = fame.teams(board=board, limit=settings.FAME_ROWS + 1, skip=skip)
        return Response(TeamBoardSerializer(_paged(board, lines, skip)).data)


class MyFame(APIView):
    @extend_schema(operation_id="my_fame", responses={200: MyFameSerializer, **problems(401)})
    def get(self, request: Request) -> Response:
        """Your wishes, team, and standing in each recognizer with streak and badges."""
        return Response(_mine(volunteer_of(request)))

    @extend_schema(
        operation_id="wish_fame", request=WishSerializer, responses={200: MyFameSerializer, **problems(400, 401, 409, 422)}
    )
    def patch(self, request: Request) -> Response:
        """Say whether you want to be listed, and by which name. It holds at once, also in editions that are out."""
        if int(request.META.get("CONTENT_LENGTH") or 0) == 0:
            raise MissingParameter("Send `listed`, `pseudonym` or both as JSON.")
        wish = WishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        fame_names.wish(volunteer=volunteer_of(request), **wish.validated_data)
        return Response(_mine(volunteer_of(request)))


class Teams(APIView):
    @extend_schema(
        operation_id="make_team",
        request=TeamNameSerializer,
        responses={201: TeamWithCodeSerializer, **problems(400, 401, 409, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """Make a team and be its first member. The code that lets others in is shown once."""
        named = TeamNameSerializer(data=request.data)
        named.is_valid(raise_exception=True)
        team, code = fame_teams.make(volunteer=volunteer_of(request), name=named.validated_data["name"])
        return Response(TeamWithCodeSerializer({"name": team.name, "code": code}).data, status=201)


class MyTeam(APIView):
    @extend_schema(
        operation_id="join_team",
        request=TeamCodeRequestSerializer,
        responses={200: TeamSerializer, **problems(400, 401, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Join the team of a code."""
        given = TeamCodeRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        team = fame_teams.join(
            volunteer=volunteer_of(request), code=given.validated_data["code"], address=client_address(request._request)
        )
        return Response(TeamSerializer(team).data)

    @extend_schema(operation_id="leave_team", request=None, responses={204: None, **problems(401, 404)})
    def delete(self, request: Request) -> Response:
        """Leave your team; the last one to leave ends it."""
        fame_teams.leave(volunteer=volunteer_of(request))
        return Response(status=204)


class MyTeamsCode(APIView):
    @extend_schema(operation_id="renew_team_code", request=None, responses={200: TeamWithCodeSerializer, **problems(401, 404)})
    def post(self, request: Request) -> Response:
        """A new code for your team; the old one works no more."""
        volunteer = volunteer_of(request)
        code = fame_teams.renew_code(volunteer=volunteer)
        return Response(TeamWithCodeSerializer({"name": fame_teams.team_of(volunteer=volunteer).name, "code": code}).data)


def _asked(request: Request, slug: str) -> tuple[fame.Board, int]:
    recognizer = open_to(volunteer_of(request)).filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
    return asked(recognizer=recognizer, query=request.query_params)


def _paged(board: fame.Board, lines: list[Any], skip: int) -> dict[str, Any]:
    rows = settings.FAME_ROWS
    return {
        "period": board.period.kind,
        "begins": board.period.begins,
        "ends": board.period.ends,
        "label": board.label.slug if board.label else None,
        "lines": lines[:rows],
        "next": skip + rows + 1 if len(lines) > rows else None,
    }


def _mine(volunteer: Volunteer) -> dict[str, Any]:
    wish = fame_names.preference(volunteer=volunteer)
    try:
        team = fame_teams.team_of(volunteer=volunteer).name
    except InNoTeam:
        team = None
    mine = {"listed": wish.listed, "pseudonym": wish.pseudonym, "team": team}
    return dict(MyFameSerializer(mine | {"standings": fame.standing(volunteer=volunteer)}).data)
