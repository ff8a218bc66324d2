"""What operators ask: alive, able to work, and numbers."""

from typing import Any

from django.db import connection
from django.http import HttpResponse
from django_prometheus.exports import ExportToDjangoView
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector.storage import store


class AliveSerializer(serializers.Serializer[Any]):
    alive = serializers.BooleanField()


class ReadySerializer(serializers.Serializer[Any]):
    ready = serializers.BooleanField()
    broken = serializers.DictField(child=serializers.CharField(), help_text="part → what it answered with")


class Probe(APIView):
    permission_classes = [AllowAny]
    authentication_classes = ()


class Healthz(Probe):
    @extend_schema(operation_id="healthz", responses=AliveSerializer)
    def get(self, request: Request) -> Response:
        """Alive: the process answers."""
        return Response({"alive": True})


class Readyz(Probe):
    @extend_schema(operation_id="readyz", responses={200: ReadySerializer, 503: ReadySerializer})
    def get(self, request: Request) -> Response:
        """Able to work: the database answers and the store can be asked."""
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
        return Response({"ready": not broken, "broken": broken}, status=503 if broken else 200)


class Metrics(Probe):
    @extend_schema(operation_id="metrics", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """Prometheus' text format. Keep it inside your network."""
        return ExportToDjangoView(request)
