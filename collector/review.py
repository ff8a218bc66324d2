"""MODERATION, on screen: one page of photos, a verdict for each, one button. Works with keyboard, screen reader, no script."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from collector.models import Decision, Photo, Recognizer, Volunteer
from collector.moderation import decide, queue
from collector.views import picture
from config.errors import Problem

PAGE = 12  # photos; fits a laptop screen in three rows, and a lost connection costs no more than these
DUPLICATES_SHOWN = 4
PICTURES = {"view": "views", "thumbnail": "thumbnails"}


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET shows the oldest undecided photos of a recognizer; POST carries out what was chosen and shows the next ones."""
    _must_moderate(request)
    waiting = Count("photos", filter=Q(photos__state=Photo.State.PENDING))
    recognizers = list(Recognizer.objects.annotate(waiting=waiting).order_by("-waiting", "slug"))
    slug = request.GET.get("recognizer") or (recognizers[0].slug if recognizers else "")
    recognizer = get_object_or_404(Recognizer, slug=slug) if slug else None
    if request.method == "POST" and recognizer:
        _carry_out(request, recognizer)
        return HttpResponseRedirect(request.get_full_path())
    photos = list(queue(recognizer=recognizer)[:PAGE]) if recognizer else []
    context |= {
        "title": "Review photos",
        "recognizers": recognizers,
        "recognizer": recognizer,
        "labels": list(recognizer.labels.all()) if recognizer else [],
        "reasons": [(value, text) for value, text in Decision.Reason.choices if value],
        "rows": _rows(photos),
        "waiting": next((r.waiting for r in recognizers if r == recognizer), 0),
    }
    return TemplateResponse(request, "collector/review.html", context)


def picture_of(request: HttpRequest, photo_id: UUID, kind: str) -> HttpResponse:
    """A derived picture of any photo, for moderators only: before acceptance nobody else may see it."""
    _must_moderate(request)
    photo = get_object_or_404(Photo, pk=photo_id)
    digest = {"view": photo.view_sha256, "thumbnail": photo.thumbnail_sha256}.get(kind)
    if not digest:
        raise Http404
    return picture(request, f"{PICTURES[kind]}/{digest}", cache="private, max-age=600")


def _must_moderate(request: HttpRequest) -> None:
    if not request.user.has_perm("collector.add_decision"):
        raise PermissionDenied


def _carry_out(request: HttpRequest, recognizer: Recognizer) -> None:
    """Each photo's fields are named after its UUID. One that cannot be decided any more is said and skipped."""
    assert isinstance(request.user, User)
    labels = {label.slug: label for label in recognizer.labels.all()}
    # Nothing is chosen beforehand: an accidental Enter must not publish twelve photos that nobody looked at.
    unchosen = "accept" if request.POST.get("rest") == "accept" else ""
    done = 0
    for raw in request.POST.getlist("photo"):
        verdict = request.POST.get(f"verdict-{raw}") or unchosen
        if not verdict:  # left for later
            continue
        try:
            decide(
                photo_id=UUID(raw),
                moderator=request.user,
                verdict=verdict,
                label=labels.get(request.POST.get(f"label-{raw}", "")) if verdict == "relabel" else None,
                reason=request.POST.get(f"reason-{raw}", "") if verdict == "reject" else "",
                seen_state=Photo.State.PENDING,
            )
            done += 1
        except (Problem, ValueError) as problem:
            messages.warning(request, f"Photo {raw[:8]} was not decided: {problem}")
    messages.success(request, f"{done} photo{'' if done == 1 else 's'} decided.")


def _rows(photos: list[Photo]) -> list[dict[str, Any]]:
    """What a moderator needs beside each picture: who sent it, how they fared so far, and what looks the same."""
    volunteers = Volunteer.objects.filter(pk__in={photo.volunteer_id for photo in photos}).annotate(
        accepted=Count("photos", filter=Q(photos__state=Photo.State.ACCEPTED)),
        rejected=Count("photos", filter=Q(photos__state=Photo.State.REJECTED)),
    )
    history = {volunteer.pk: volunteer for volunteer in volunteers}
    shown = {photo.pk for photo in photos}
    twins: dict[UUID | None, list[Photo]] = {}
    near = Photo.objects.filter(cluster__in={photo.cluster for photo in photos}).exclude(state=Photo.State.WITHDRAWN)
    for twin in near.select_related("claimed", "label", "challenge", "volunteer"):
        twins.setdefault(twin.cluster, []).append(twin)
    return [
        {
            "photo": photo,
            "volunteer": history[photo.volunteer_id],
            "twins": [twin for twin in twins.get(photo.cluster, []) if twin.pk != photo.pk][:DUPLICATES_SHOWN],
            "also_here": sum(twin.pk in shown for twin in twins.get(photo.cluster, [])) > 1,
        }
        for photo in photos
    ]
