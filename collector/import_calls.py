"""INTAKE for owners of photos: what the import page's script calls: begin, one file or one piece at a time, end."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from collector import import_jobs, import_page
from collector.body import announced, whole_body
from collector.errors import EmptyBody, PhotoTooLarge
from collector.intake import NUMBER_DIGITS
from collector.models import ImportJob
from config.fields import without_nul


class MayImport(BasePermission):
    """Staff who may add photos."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user is not None and request.user.is_staff and request.user.has_perm(import_page.MAY_IMPORT)


@extend_schema(exclude=True)  # of the admin's own page, not of the phone's API
class Call(APIView):
    """The admin's session and its CSRF token; every problem, also a missing token, is answered as problem+json."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (MayImport,)

    def own(self, job_id: UUID) -> ImportJob:
        """An import of the caller's own: who confirmed the right to give the photos is who sends them. Raises Http404."""
        job = (
            ImportJob.objects.select_related("user").filter(pk=job_id, user=import_page.importer(self.request._request)).first()
        )
        if job is None:
            raise Http404
        return job


class Asked(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(ImportJob.Kind.values)
    recognizer = serializers.CharField(allow_blank=True, default="")
    new_name = serializers.CharField(allow_blank=True, default="")
    accept = serializers.BooleanField(default=False)
    confirmed = serializers.BooleanField(default=False)
    total = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    size = serializers.IntegerField(min_value=0, default=0)


class Ended(serializers.Serializer[Any]):
    stopped = serializers.BooleanField(default=False)


class Begin(Call):
    def post(self, request: Request) -> Response:
        """201 with the addresses that this import's files and pieces go to."""
        asked = Asked(data=request.data)
        asked.is_valid(raise_exception=True)
        job = import_page.begun(import_page.importer(request._request), **asked.validated_data)
        addresses = {name: reverse(f"admin:collector_import_{name}", args=[job.pk]) for name in ("file", "end", "state", "job")}
        pieces = reverse("admin:collector_import_piece", args=[job.pk, 0]).removesuffix("0/")
        return Response({"id": job.pk, **addresses, "pieces": pieces}, status=201)


class File(Call):
    parser_classes = ()  # the body is the photo: it is read as a stream, never parsed
    reads_its_own_body = True

    def put(self, request: Request, job_id: UUID) -> Response:
        """`?name=<label>/<file>&size=<bytes>`, raw body. {"state": "new" | "known", "accepted", "label"}, or why it is refused.

        A browser that sees by itself that a file is too large sends its size and no body, so that the refusal is listed.
        """
        job, name = self.own(job_id), without_nul(request.query_params.get("name", ""))
        size, declared = request.query_params.get("size", ""), request.META.get("CONTENT_LENGTH") or None
        try:
            if size.isdecimal() and (len(size) > NUMBER_DIGITS or int(size) > settings.PHOTO_MAX_BYTES):
                raise PhotoTooLarge(f"It has more than {settings.PHOTO_MAX_BYTES} bytes.", most=settings.PHOTO_MAX_BYTES)
            announced(declared, most=settings.PHOTO_MAX_BYTES)
        except (PhotoTooLarge, EmptyBody) as problem:
            import_jobs.refuse_file(job=job, name=name, why=problem.detail)
            raise
        with whole_body(request._request, declared) as body:
            return Response(import_page.taken(job, name, body))


class Piece(Call):
    parser_classes = ()
    reads_its_own_body = True

    def put(self, request: Request, job_id: UUID, number: int) -> Response:
        """Piece `number` (from 0) of the zip, raw. 204."""
        job = self.own(job_id)
        declared = request.META.get("CONTENT_LENGTH") or None
        try:
            announced(declared, most=settings.IMPORT_PIECE_BYTES)
        except PhotoTooLarge:
            raise import_jobs.ImportTooLarge(f"A piece has at most {settings.IMPORT_PIECE_BYTES} bytes.") from None
        with whole_body(request._request, declared, most=settings.IMPORT_PIECE_BYTES) as data:
            import_jobs.add_piece(job=job, number=number, data=data)
        return Response(status=204)


class End(Call):
    def post(self, request: Request, job_id: UUID) -> Response:
        """Everything was sent, or with {"stopped": true} nothing more will be. Answers how far the import is."""
        job = self.own(job_id)
        ended = Ended(data=request.data)
        ended.is_valid(raise_exception=True)
        if ended.validated_data["stopped"]:
            import_jobs.stop(job=job)
        else:
            import_page.closed(job)
        job.refresh_from_db()
        return Response(import_page.facts(job))


class State(Call):
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far the import is: counts, state, and whether it is still open."""
        job = ImportJob.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404
        return Response(import_page.facts(job))
