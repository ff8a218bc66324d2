"""SNAPSHOT … RELEASE for one person, on screen: photos and advice, "Train now" with progress, and the files to take away."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from training import left, tasks, workshop
from training.advice import PROTOTYPE, ROBUST, advise
from training.models import Release, Workshop
from training.release import KIND

MAY_LOOK, MAY_TRAIN = "training.view_workshop", "training.change_workshop"
REFRESH_S = 5  # seconds between two looks of a browser without scripts


def page(request: HttpRequest, context: dict[str, Any], recognizer_id: int) -> HttpResponse:
    """One recognizer: photos, what to collect next, its night, its model. POST begins a night, or finds the one under way."""
    thing = _seen(request, recognizer_id)
    if request.method == "POST":
        if not request.user.has_perm(MAY_TRAIN):
            raise PermissionDenied
        begun, new = workshop.begin(thing)
        if new:
            tasks.run.ring(begun.pk)
        return HttpResponseRedirect(address(thing))
    counted, run, model = workshop.counted(thing), workshop.newest(thing), workshop.offered(thing)
    context |= {
        "title": f"Workshop: {thing.name}",
        "recognizer": thing,
        "counted": counted,
        "photos": sum(each.photos for each in counted),
        "advice": advise(counted),
        "prototype": PROTOTYPE,
        "robust": ROBUST,
        "run": run,
        "progress": workshop.progress(run) if run else None,
        "model": model,
        "files": _files(thing, model) if model else [],
        "may_train": request.user.has_perm(MAY_TRAIN),
        "may_import": request.user.has_perm("collector.add_photo"),
        "refresh_s": REFRESH_S,
    }
    return TemplateResponse(request, "training/workshop.html", context)


def state(request: HttpRequest, recognizer_id: int) -> HttpResponse:
    """What the page's script asks for again and again: {"says", "done", "total", "ended"} of the newest run."""
    run = workshop.newest(_seen(request, recognizer_id))
    if run is None:
        raise Http404("There was no night yet.")
    now = workshop.progress(run)
    answer = JsonResponse({"says": now.says, "done": now.done, "total": now.total, "ended": now.ended})
    answer["Cache-Control"] = "no-store"
    return answer


def file(request: HttpRequest, recognizer_id: int, name: str) -> HttpResponse:
    """A file of the offered model by its format, or its labels, one a line in the order of the outputs."""
    thing = _seen(request, recognizer_id)
    model = workshop.offered(thing)
    if model is None:
        raise Http404("No model was released yet.")
    if name == workshop.LABELS_FILE:
        return _labels(model)
    artifact = get_object_or_404(model.artifacts, format=name)
    return left.stored(f"{KIND}/{artifact.sha256}", workshop.file_name(model, artifact), "application/octet-stream")


def address(thing: Workshop) -> str:
    return reverse("admin:training_workshop_change", args=[thing.pk])


def _seen(request: HttpRequest, recognizer_id: int) -> Workshop:
    if not (request.user.has_perm(MAY_LOOK) or request.user.has_perm(MAY_TRAIN)):
        raise PermissionDenied
    return get_object_or_404(Workshop, pk=recognizer_id)


def _files(thing: Workshop, model: Release) -> list[dict[str, Any]]:
    """The model's files with what they are for, the one for phones first."""
    rows = sorted(model.artifacts.all(), key=lambda each: each.format != "int8")
    files = [
        {
            "name": workshop.file_name(model, each),
            "what": each.get_format_display(),
            "bytes": each.bytes,
            "address": reverse("admin:training_workshop_file", args=[thing.pk, each.format]),
            "right_percent": f"{each.metrics.get('accuracy', 0):.1%}",
            "held_out": each.metrics.get("held_out"),
        }
        for each in rows
    ]
    labels = reverse("admin:training_workshop_file", args=[thing.pk, workshop.LABELS_FILE])
    return [*files, {"name": workshop.LABELS_FILE, "what": "the labels, in the order of the outputs", "address": labels}]


def _labels(model: Release) -> HttpResponse:
    first = model.artifacts.order_by("format").first()
    lines = "".join(f"{slug}\n" for slug in (first.labels if first else []))
    return left.sent(lines.encode(), workshop.LABELS_FILE, "text/plain; charset=utf-8")
