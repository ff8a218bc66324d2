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

from collector import agreement, second_looks
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
    moderator = must_moderate(request)
    recognizers, recognizer = choice(request, moderator)
    if request.method == "POST" and recognizer:
        _carry_out(request, moderator, recognizer)
        return HttpResponseRedirect(request.get_full_path())
    mine = queue(recognizer=recognizer, moderator=moderator) if recognizer else Photo.objects.none()
    of_others = agreement.waiting_for_others(moderator).get(recognizer.pk, 0) if recognizer else 0
    context |= {
        "title": "Review photos",
        "recognizers": recognizers,
        "recognizer": recognizer,
        "labels": list(recognizer.labels.all()) if recognizer else [],
        "reasons": list(REJECTIONS.items()),
        "rows": [_row(photo, mine) for photo in first_of_clusters(mine, PAGE)],
        "waiting": next((r.waiting for r in recognizers if r == recognizer), 0),
        "of_others": of_others,
        "too_few": of_others > 0 and agreement.too_few_moderators(),
        "doubted": len(second_looks.wanted(recognizer=recognizer)) if recognizer else 0,
    }
    return TemplateResponse(request, "collector/review.html", context)


def choice(request: HttpRequest, moderator: User) -> tuple[list[Any], Recognizer | None]:
    """(recognizers with `waiting`, the photos that wait for this moderator; the one that the address names, or the first)."""
    waiting = Count("photos", filter=Q(photos__state=Photo.State.PENDING))
    recognizers = list(Recognizer.objects.annotate(waiting=waiting))
    of_others = agreement.waiting_for_others(moderator)
    for each in recognizers:
        each.waiting -= of_others.get(each.pk, 0)
    recognizers.sort(key=lambda each: (-each.waiting, each.slug))
    slug = without_nul(request.GET.get("recognizer", "")) or (recognizers[0].slug if recognizers else "")
    return recognizers, get_object_or_404(Recognizer, slug=slug) if slug else None


def picture_of(request: HttpRequest, photo_id: UUID, kind: str) -> HttpResponse:
    """A derived picture of any photo, for moderators only: before acceptance nobody else may see it."""
    must_moderate(request)
    photo = get_object_or_404(Photo, pk=photo_id)
    digest = {"view": photo.view_sha256, "thumbnail": photo.thumbnail_sha256}.get(kind)
    if not digest:
        raise Http404
    return picture(request, f"{PICTURES[kind]}/{digest}", cache="private, max-age=600")


def must_moderate(request: HttpRequest) -> User:
    """The moderator who asks. Raises PermissionDenied."""
    if not request.user.has_perm("collector.add_decision"):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


def first_of_clusters(waiting: QuerySet[Photo], count: int) -> list[Photo]:
    """The oldest `count` photos of different clusters: a burst takes one place on the page, with its others beside it."""
    chosen: dict[UUID, UUID] = {}
    for pk, cluster in waiting.values_list("pk", "cluster").iterator():
        chosen.setdefault(cluster or pk, pk)
        if len(chosen) == count:
            break
    photos = waiting.in_bulk(list(chosen.values()))
    return [photos[pk] for pk in chosen.values() if pk in photos]


def _carry_out(request: HttpRequest, moderator: User, recognizer: Recognizer) -> None:
    """Each photo's fields are named after its UUID. One that cannot be decided any more is said and skipped."""
    labels = {label.slug: label for label in recognizer.labels.all()}
    # Nothing is chosen beforehand: an accidental Enter must not publish twelve photos that nobody looked at.
    unchosen = "accept" if request.POST.get("rest") == "accept" else ""
    done = waiting = 0
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
        outcome = decide_alike(
            photo_ids=photo_ids,
            moderator=moderator,
            verdict=verdict,
            label=labels.get(request.POST.get(f"label-{raw}", "")) if verdict == "relabel" else None,
            reason=request.POST.get(f"reason-{raw}", "") if verdict == "reject" else "",
        )
        done, waiting = done + outcome.decided, waiting + outcome.waiting
        for problem in outcome.refused:
            messages.warning(request, f"Photo {str(problem.facts.get('photo', raw))[:8]} was not decided: {problem}")
    messages.success(request, f"{done} photo{'' if done == 1 else 's'} decided.")
    if waiting:
        wait = "1 photo waits" if waiting == 1 else f"{waiting} photos wait"
        messages.info(request, f"{wait} for another moderator, too: a new volunteer's first photos need more than one.")


def _row(photo: Photo, mine: QuerySet[Photo]) -> dict[str, Any]:
    """What a moderator needs beside a picture: who sent it, how they fared so far, and what looks the same.

    Near-duplicates are counted by the database and at most TOGETHER of them read: a flood has a hundred thousand.
    """
    sent = Photo.objects.filter(volunteer=photo.volunteer_id)
    alike = Photo.objects.filter(cluster=photo.cluster, cluster__isnull=False).exclude(pk=photo.pk)
    waiting = mine.filter(cluster=photo.cluster, cluster__isnull=False).exclude(pk=photo.pk)
    # Those that wait are shown first: they are what the verdict may be applied to.
    order = Case(When(state=Photo.State.PENDING, then=0), default=1)
    shown = alike.exclude(state=Photo.State.WITHDRAWN).order_by(order, "received_at", "id")
    together = list(waiting.values_list("pk", flat=True)[:TOGETHER])
    twins = list(shown.select_related("claimed", "volunteer")[:DUPLICATES_SHOWN])
    return {
        "photo": photo,
        "volunteer": sent.aggregate(
            accepted=Count("pk", filter=Q(state=Photo.State.ACCEPTED)),
            rejected=Count("pk", filter=Q(state=Photo.State.REJECTED)),
        ),
        "twins": twins,
        "not_shown": shown.count() - len(twins),
        "standing": agreement.standing(photo),
        "alike": together,
        "with_this": len(together) + 1,
        "left_waiting": waiting.count() - len(together),
    }
