"""MODERATION, on screen: one page of photos, a verdict for each, one button. Works with keyboard, screen reader, no script."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from collector.models import Photo, Recognizer
from collector.moderation import REJECTIONS, decide_alike, queue
from collector.views import picture
from config.fields import without_nul

PAGE = 12  # photos; fits a laptop screen in three rows, and a lost connection costs no more than these
DUPLICATES_SHOWN = 8
TOGETHER = 200  # near-duplicates that one verdict decides at the most: each takes its turn, and a page must answer in seconds
PICTURES = {"view": "views", "thumbnail": "thumbnails"}


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET shows the oldest undecided photos of a recognizer; POST carries out what was chosen and shows the next ones."""
    _must_moderate(request)
    waiting = Count("photos", filter=Q(photos__state=Photo.State.PENDING))
    recognizers = list(Recognizer.objects.annotate(waiting=waiting).order_by("-waiting", "slug"))
    slug = without_nul(request.GET.get("recognizer", "")) or (recognizers[0].slug if recognizers else "")
    recognizer = get_object_or_404(Recognizer, slug=slug) if slug else None
    if request.method == "POST" and recognizer:
        _carry_out(request, recognizer)
        return HttpResponseRedirect(request.get_full_path())
    photos = first_of_clusters(queue(recognizer=recognizer), PAGE) if recognizer else []
    context |= {
        "title": "Review photos",
        "recognizers": recognizers,
        "recognizer": recognizer,
        "labels": list(recognizer.labels.all()) if recognizer else [],
        "reasons": list(REJECTIONS.items()),
        "rows": [_row(photo) for photo in photos],
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


def first_of_clusters(waiting: QuerySet[Photo], count: int) -> list[Photo]:
    """The oldest `count` photos of different clusters: a burst takes one place on the page, with its others beside it."""
    chosen: dict[UUID, UUID] = {}
    for pk, cluster in waiting.values_list("pk", "cluster").iterator():
        chosen.setdefault(cluster or pk, pk)
        if len(chosen) == count:
            break
    photos = waiting.in_bulk(list(chosen.values()))
    return [photos[pk] for pk in chosen.values() if pk in photos]


def _carry_out(request: HttpRequest, recognizer: Recognizer) -> None:
    """Each photo's fields are named after its UUID. One that cannot be decided any more is said and skipped."""
    assert isinstance(request.user, User)
    labels = {label.slug: label for label in recognizer.labels.all()}
    # Nothing is chosen beforehand: an accidental Enter must not publish twelve photos that nobody looked at.
    unchosen = "accept" if request.POST.get("rest") == "accept" else ""
    done = 0
    for raw in request.POST.getlist("photo")[:PAGE]:
        verdict = request.POST.get(f"verdict-{raw}") or unchosen
        if not verdict:  # left for later
            continue
        # The form names the near-duplicates that it spoke of: one that came since is not decided unseen.
        others = request.POST.getlist(f"alike-{raw}")[:TOGETHER] if request.POST.get(f"all-{raw}") else []
        try:
            photo_ids = [UUID(each) for each in (raw, *others)]
        except ValueError:
            messages.warning(request, f"Photo {raw[:8]} was not decided: the form is damaged.")
            continue
        decided, refused = decide_alike(
            photo_ids=photo_ids,
            moderator=request.user,
            verdict=verdict,
            label=labels.get(request.POST.get(f"label-{raw}", "")) if verdict == "relabel" else None,
            reason=request.POST.get(f"reason-{raw}", "") if verdict == "reject" else "",
        )
        done += decided
        for problem in refused:
            messages.warning(request, f"Photo {str(problem.facts.get('photo', raw))[:8]} was not decided: {problem}")
    messages.success(request, f"{done} photo{'' if done == 1 else 's'} decided.")


def _row(photo: Photo) -> dict[str, Any]:
    """What a moderator needs beside a picture: who sent it, how they fared so far, and what looks the same.

    Near-duplicates are counted by the database and at most TOGETHER of them read: a flood has a hundred thousand.
    """
    sent = Photo.objects.filter(volunteer=photo.volunteer_id)
    alike = Photo.objects.filter(cluster=photo.cluster, cluster__isnull=False).exclude(pk=photo.pk)
    waiting = alike.filter(state=Photo.State.PENDING).order_by("received_at", "id")
    # Those that wait are shown first: they are what the verdict may be applied to.
    order = Case(When(state=Photo.State.PENDING, then=0), default=1)
    shown = alike.exclude(state=Photo.State.WITHDRAWN).order_by(order, "received_at", "id")
    counts = alike.exclude(state=Photo.State.WITHDRAWN).aggregate(
        all=Count("pk"), waiting=Count("pk", filter=Q(state=Photo.State.PENDING))
    )
    together = list(waiting.values_list("pk", flat=True)[:TOGETHER])
    twins = list(shown.select_related("claimed", "volunteer")[:DUPLICATES_SHOWN])
    return {
        "photo": photo,
        "volunteer": sent.aggregate(
            accepted=Count("pk", filter=Q(state=Photo.State.ACCEPTED)),
            rejected=Count("pk", filter=Q(state=Photo.State.REJECTED)),
        ),
        "twins": twins,
        "not_shown": counts["all"] - len(twins),
        "alike": together,
        "with_this": len(together) + 1,
        "left_waiting": counts["waiting"] - len(together),
    }
