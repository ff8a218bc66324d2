"""INTAKE for owners of photos, on screen: choose a folder, photos or a zip; see how far it is and what was refused, and why."""

import csv
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from collector import import_jobs
from collector.importing import BeingDecoded, NothingToImport, label_name, read_at_most
from collector.models import ImportJob, Recognizer
from collector.signals import photos_imported
from collector.tasks import develop, import_zip
from config.errors import Problem

MAY_IMPORT, MAY_ACCEPT = "collector.add_photo", "collector.add_decision"
JOBS_SHOWN = 10  # earlier imports on the page; the newest tell whether yesterday's went well
REFUSALS_SHOWN = 100  # on a job's page; the download has them all
REFRESH_S = 5  # seconds between two looks of a browser without scripts
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would calculate a cell that begins so


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET shows the form and the latest imports; POST is the form without a script: a zip, or up to 100 photos of one label."""
    user = importer(request)
    status = 200
    if request.method == "POST":
        try:
            return HttpResponseRedirect(address(_submitted(request, user)))
        except Problem as problem:
            context |= {"problem": problem.detail, "posted": request.POST}
            status = problem.status
    elif "recognizer" in request.GET:  # a link from elsewhere; an empty one asks for a new recognizer
        context["posted"] = {"recognizer": request.GET["recognizer"]}
    recognizers = list(Recognizer.objects.filter(active=True).prefetch_related("labels"))
    context |= {
        "title": "Import photos",
        "recognizers": recognizers,
        "labels": {each.slug: [label.name for label in each.labels.all()] for each in recognizers},
        "jobs": ImportJob.objects.select_related("user")[:JOBS_SHOWN],
        "licence": settings.PHOTO_LICENCE,
        "may_accept": user.has_perm(MAY_ACCEPT),
        "most_bytes": settings.PHOTO_MAX_BYTES,
        "piece_bytes": settings.IMPORT_PIECE_BYTES,
        "zip_most": settings.IMPORT_ZIP_MAX_BYTES,
        "members_most": f"{settings.IMPORT_ZIP_MAX_MEMBERS:,}",
    }
    return TemplateResponse(request, "collector/import.html", context, status=status)


def job_page(request: HttpRequest, context: dict[str, Any], job_id: UUID) -> HttpResponse:
    """How far an import is and what was refused. POST stops it."""
    importer(request)
    job = get_object_or_404(ImportJob.objects.select_related("user"), pk=job_id)
    if request.method == "POST":
        import_jobs.stop(job=job)
        return HttpResponseRedirect(address(job))
    recognizer = Recognizer.objects.filter(slug=job.recognizer_slug).first()
    further = photos_imported.send(ImportJob, recognizer=recognizer) if recognizer else []
    context |= {
        "title": f"Import into {job.recognizer_name}",
        "job": job,
        "facts": facts(job),
        "refusals": job.refusals.all()[:REFUSALS_SHOWN],
        "refresh_s": REFRESH_S,
        "recognizer": recognizer,
        "further": [link for _, link in further if link],
    }
    return TemplateResponse(request, "collector/import_job.html", context)


def refused_list(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """All refused files of an import as CSV: name, reason."""
    importer(request)
    job = get_object_or_404(ImportJob, pk=job_id)
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="refused-{job.pk}.csv"', "X-Content-Type-Options": "nosniff"},
    )
    writer = csv.writer(response)
    writer.writerow(["file", "why"])
    for name, why in job.refusals.values_list("name", "why"):
        writer.writerow(["'" + cell if cell.startswith(FORMULA) else cell for cell in (name, why)])
    return response


def importer(request: HttpRequest) -> User:
    """Who asks. Raises PermissionDenied where they may not import."""
    if not may_import(request):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


def may_import(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.has_perm(MAY_IMPORT)


def begun(user: User, **asked: Any) -> ImportJob:
    """`import_jobs.begin` for a user, who accepts only what they may decide."""
    if asked["accept"] and not user.has_perm(MAY_ACCEPT):
        raise PermissionDenied("Accepting at once needs the permission to decide about photos.")
    return import_jobs.begin(user=user, **asked)


def closed(job: ImportJob) -> None:
    """Everything was sent; a worker hears of a zip."""
    if import_jobs.close(job=job):
        import_zip.ring(str(job.pk))


def taken(job: ImportJob, name: str, body: bytes) -> dict[str, object]:
    """One file, as JSON tells of it; a worker hears of a new photo. A refusal is raised as a Problem."""
    outcome = import_jobs.take_file(job=job, name=name, body=body)
    if outcome.new and not job.accept:
        develop.ring(str(outcome.photo_id))
    return {"state": "new" if outcome.new else "known", "accepted": outcome.accepted, "label": outcome.label}


def facts(job: ImportJob) -> dict[str, object]:
    """What a page asks for again and again while an import runs."""
    numbers = {name: getattr(job, name) for name in ("total", "done", "new", "known", "accepted", "refused")}
    return {**numbers, "state": job.state, "says": job.get_state_display(), "problem": job.problem, "open": job.open}


def address(job: ImportJob) -> str:
    """The job's page."""
    return reverse("admin:collector_import_job", args=[job.pk])


def _submitted(request: HttpRequest, user: User) -> ImportJob:
    """The form without a script. Raises Problem."""
    zipped, photos = request.FILES.get("zip"), request.FILES.getlist("photos")
    if bool(zipped) == bool(photos):
        raise NothingToImport("Choose either a zip or photos.")
    label = request.POST.get("label", "").strip().replace("/", "-")
    if photos:
        label_name(f"{label}/photo")  # said once, before anything is stored
    job = begun(
        user,
        kind="zip" if zipped else "files",
        recognizer=request.POST.get("recognizer", ""),
        new_name=request.POST.get("new_name", ""),
        accept=request.POST.get("accept") == "on",
        confirmed=request.POST.get("confirmed") == "on",
        total=len(photos),
        size=(zipped.size or 0) if zipped else 0,
    )
    if zipped:
        for number, data in enumerate(iter(lambda: zipped.read(settings.IMPORT_PIECE_BYTES), b"")):
            import_jobs.add_piece(job=job, number=number, data=data)
    for photo in photos:
        _one_of_form(job, label, photo)
    closed(job)
    return job


def _one_of_form(job: ImportJob, label: str, photo: UploadedFile) -> None:
    name = f"{label}/{photo.name}"
    try:
        body = read_at_most(photo)
    except Problem as problem:
        import_jobs.refuse_file(job=job, name=name, why=problem.detail)
        return
    with suppress(Problem):  # take_file has counted and listed it
        try:
            taken(job, name, body)
        except BeingDecoded:
            why = "It was taken in, but a worker has it in hand: accept it in the review queue."
            import_jobs.refuse_file(job=job, name=name, why=why)
