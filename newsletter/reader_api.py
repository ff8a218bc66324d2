"""Subscribing from the phone: each call checks its shape, calls one verb, and answers."""

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector.addresses import client_address
from collector.api import problems, volunteer_of
from collector.errors import UnknownRecognizer
from collector.invitations import open_to
from collector.models import Recognizer
from newsletter import subscriptions
from newsletter.errors import NoSubscription
from newsletter.serializers import SubscriptionRequestSerializer, SubscriptionSerializer
from newsletter.subscriptions import Wanted
from newsletter.tasks import ask


class Subscriptions(APIView):
    @extend_schema(
        operation_id="subscribe",
        request=SubscriptionRequestSerializer,
        responses={202: SubscriptionSerializer, **problems(400, 401, 404, 409, 422, 429)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask that an address gets the newsletter. The answer is the same for every address: a mail goes there where one is
        due, and only what its reader confirms by the link in it becomes true. Asking again replaces what was asked before; for
        your own confirmed address the choice changes at once.
        """
        asked = SubscriptionRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        made = subscriptions.subscribe(
            recognizer=_recognizer(open_to(volunteer_of(request)), slug),
            email=wish["email"],
            address=client_address(request._request),
            wanted=Wanted(wish["daily"], wish["weekly"], wish["reminder"]),
            volunteer=volunteer_of(request),
        )
        if made.confirmation_due is not None:
            ask.ring(str(made.pk))
        state = "confirmed" if subscriptions.is_own(made) else "asked"
        told = _told(made.subscriber.email, state, subscriptions.wanted_by(made))
        return Response(SubscriptionSerializer(told).data, status=202)

    @extend_schema(operation_id="my_subscription", responses={200: SubscriptionSerializer, **problems(401, 404)})
    def get(self, request: Request, slug: str) -> Response:
        """Your own subscription: the confirmed one, else what you asked for last and nobody has confirmed yet."""
        mine = subscriptions.of_volunteer(recognizer=_own(request, slug), volunteer=volunteer_of(request))
        if mine is None:
            raise NoSubscription("POST an address here to ask for it.", recognizer=slug)
        return Response(SubscriptionSerializer(_told(*mine)).data, headers={"Cache-Control": "private, no-store"})

    @extend_schema(operation_id="leave_newsletter", request=None, responses={204: None, **problems(401, 404)})
    def delete(self, request: Request, slug: str) -> Response:
        """Leave, and withdraw what was asked. Doing it twice is fine."""
        subscriptions.leave_as(recognizer=_own(request, slug), volunteer=volunteer_of(request))
        return Response(status=204)


def _told(email: str, state: str, wanted: Wanted) -> dict[str, Any]:
    chosen = {"daily": wanted.wants_daily, "weekly": wanted.wants_weekly, "reminder": wanted.wants_reminder}
    return {"email": email, "state": state, **chosen}


def _own(request: Request, slug: str) -> Recognizer:
    """Also one that was closed or ended since: its readers must be able to leave."""
    me = volunteer_of(request)
    mine = Q(subscribers__volunteer=me) | Q(subscribers__requests__volunteer=me)
    return _recognizer(Recognizer.objects.filter(Q(pk__in=open_to(me)) | mine).distinct(), slug)


def _recognizer(among: QuerySet[Recognizer], slug: str) -> Recognizer:
    found = among.filter(slug=slug).first()
    if found is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
    return found
