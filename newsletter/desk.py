"""EDITION, on screen: one page where an editor words, orders, looks at, tests, approves or holds an edition."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from collector.models import Photo
from config.errors import Problem
from newsletter import editing, previews
from newsletter.edition import candidates_left, freeze
from newsletter.models import Edition, Slot
from newsletter.progress import cancel, pause, resume, standing
from newsletter.reading import LENGTHS
from newsletter.tasks import deliver

MAY_LOOK, MAY_EDIT = "newsletter.view_edition", "newsletter.change_edition"
OFFERED = 6  # photos that may be added, best first
LOGGED = 50  # lines of the log that are shown, newest first
FRAMES = (("Phone", 390), ("Desktop", 1000))  # pixels: a small phone; wider than the mail's text column


def page(request: HttpRequest, context: dict[str, Any], edition_id: int) -> HttpResponse:
    """GET shows the edition; POST does one thing to it (`do`) and comes back to where it was done."""
    edition = _seen(request, edition_id)
    if request.method == "POST":
        return _done(request, edition)
    may = request.user.has_perm(MAY_EDIT) and edition.state == Edition.State.DRAFT
    context |= {
        "title": str(edition),
        "edition": edition,
        "slot": Slot.objects.filter(edition=edition).select_related("schedule").first(),
        "outlook": _outlook(edition),
        "may_edit": may,
        "lengths": LENGTHS | {"title": editing.TITLE_CHARS, "introduction": editing.INTRODUCTION_CHARS},
        "reason_chars": editing.REASON_CHARS,
        "entries": edition.entries.select_related("photo"),
        "offered": _offered(edition) if may and edition.kind != Edition.Kind.REMINDER else [],
        "standing": standing(edition=edition).says() if edition.state != Edition.State.DRAFT else "",
        "steps": STEPS.get(edition.state, ()) if request.user.has_perm(MAY_EDIT) else (),
        "changes": edition.changes.all()[:LOGGED],
        "frames": [(scheme, name, width) for scheme in previews.SCHEMES for name, width in FRAMES],
        "to": getattr(request.user, "email", ""),
    }
    try:
        context["preview"] = previews.preview(edition=edition, personal=_personal(request))
        context["personal"] = _personal(request)
    except Problem as problem:
        context["problem"] = problem
    return TemplateResponse(request, "newsletter/desk.html", context)


def preview(request: HttpRequest, edition_id: int) -> HttpResponse:
    """The mail's HTML as it would go out, for a frame: `?scheme=light` or `dark`, `?personal=1` with an example of a reader's
    own lines. Nothing in it can run or load anything but its pictures."""
    edition = _seen(request, edition_id)
    try:
        html = previews.preview(edition=edition, personal=_personal(request)).html
    except Problem as problem:
        return HttpResponse(
            f"{problem.title} {problem.detail}", status=problem.status, content_type="text/plain; charset=utf-8"
        )
    scheme = request.GET.get("scheme", "")
    answer = HttpResponse(previews.forced(html, scheme) if scheme in previews.SCHEMES else html)
    answer["Content-Security-Policy"] = previews.content_policy()
    answer["X-Frame-Options"] = "SAMEORIGIN"  # the site's DENY would leave the frames empty
    answer["Cache-Control"] = "no-store"  # another editor may change it any moment
    return answer


def tell(request: HttpRequest, edition_id: int) -> HttpResponse:
    """How far the sending is, a sentence, for the page to look at every few seconds."""
    edition = _seen(request, edition_id)
    answer = HttpResponse(standing(edition=edition).says(), content_type="text/plain; charset=utf-8")
    answer["Cache-Control"] = "no-store"
    return answer


def address(edition: Edition) -> str:
    return reverse("admin:newsletter_edition_change", args=[edition.pk])


# ---- what a POST does --------------------------------------------------------------------------------------------
def _done(request: HttpRequest, edition: Edition) -> HttpResponse:
    if not request.user.has_perm(MAY_EDIT):
        raise PermissionDenied
    act = ACTS.get(request.POST.get("do", ""))
    if act is None:
        return HttpResponseBadRequest(f"do is one of {', '.join(ACTS)}.", content_type="text/plain")
    try:
        told, anchor = act(edition, request.POST, request)
        messages.success(request, told)
    except Problem as problem:
        messages.error(request, f"{problem.title} {problem.detail}")
        anchor = ""
    except ValueError:
        return HttpResponseBadRequest("A field of the form is missing or malformed.", content_type="text/plain")
    return HttpResponseRedirect(address(edition) + anchor)


def _approve(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    """At its hour, if that is still to come; `now`: at once."""
    slot = Slot.objects.filter(edition=edition).first()
    later = slot.due_at if slot and slot.due_at > timezone.now() and not data.get("now") else None
    count = freeze(edition=edition, by=_by(request), not_before=later)
    deliver.ring(edition.pk)
    when = f"from {later:%Y-%m-%d %H:%M} UTC" if later else "now"
    return f"{edition} is frozen and goes to {count} subscribers, {when}.", ""


def _hold(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    editing.hold(edition=edition, by=_by(request), why=data.get("why", ""))
    return "Held: it goes neither by itself nor by approval until it is released.", ""


def _release(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    editing.release(edition=edition, by=_by(request))
    return "Released.", ""


def _reword(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    words = {"title": data.get("title", ""), "introduction": data.get("introduction", "")}
    editing.reword(edition=edition, by=_by(request), **words)
    return "Title and introduction are saved.", "#words"


def _reword_entry(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    entry_id = int(data.get("entry", ""))
    words = {name: str(data[name]) for name in LENGTHS if name in data}
    editing.reword_entry(edition=edition, entry_id=entry_id, by=_by(request), **words)
    return "The photo’s words are saved.", f"#photo-{entry_id}"


def _move(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    entry_id = int(data.get("entry", ""))
    editing.move(edition=edition, entry_id=entry_id, by=_by(request), step=data.get("do", ""))
    now = edition.entries.get(pk=entry_id).position
    return f"The photo is number {now} now.", f"#photo-{entry_id}"


def _drop(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    editing.drop(edition=edition, entry_id=int(data.get("entry", "")), by=_by(request))
    return "The photo is left out.", "#photos"


def _add(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    editing.add(edition=edition, photo_id=UUID(data.get("photo", "")), by=_by(request))
    return "The photo is added behind the others.", "#photos"


def _pause(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    pause(edition=edition, by=request.user)
    return "Paused: each worker ends the mail in hand and begins no other.", ""


def _resume(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    resume(edition=edition, by=request.user)
    deliver.ring(edition.pk)
    return "Resumed.", ""


def _cancel(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    return f"Cancelled: {cancel(edition=edition, by=request.user)} readers get no mail.", ""


def _test(edition: Edition, data: QueryDict, request: HttpRequest) -> tuple[str, str]:
    to = getattr(request.user, "email", "")
    answer = previews.send_test(edition=edition, to=to, editor=_by(request))
    editing.note(edition, _by(request), "test")
    return f"A test is on its way to {to}. The mail server says: {answer}", "#looks"


ACTS: dict[str, Callable[[Edition, QueryDict, HttpRequest], tuple[str, str]]] = {
    "approve": _approve,
    "hold": _hold,
    "release": _release,
    "reword": _reword,
    "reword-entry": _reword_entry,
    **dict.fromkeys(editing.STEPS, _move),
    "drop": _drop,
    "add": _add,
    "test": _test,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
}
# What may be done to an edition that is being sent: (act, words of its button).
STEPS: dict[str, tuple[tuple[str, str], ...]] = {
    Edition.State.FROZEN: (("pause", "Pause sending"), ("cancel", "Cancel the rest")),
    Edition.State.PAUSED: (("resume", "Resume sending"), ("cancel", "Cancel the rest")),
}


# ---- what the page tells -----------------------------------------------------------------------------------------
def _seen(request: HttpRequest, edition_id: int) -> Edition:
    if not (request.user.has_perm(MAY_LOOK) or request.user.has_perm(MAY_EDIT)):
        raise PermissionDenied
    return get_object_or_404(Edition.objects.select_related("recognizer"), pk=edition_id)


def _by(request: HttpRequest) -> str:
    return request.user.get_username()


def _personal(request: HttpRequest) -> bool:
    return request.GET.get("personal") == "1"


def _outlook(edition: Edition) -> str:
    """One sentence: what happens next."""
    if edition.state != Edition.State.DRAFT:
        return f"It is {edition.get_state_display()}."
    if edition.held_by:
        return f"{edition.held_by} holds it: {edition.held_why}"
    slot = Slot.objects.filter(edition=edition).select_related("schedule").first()
    if slot is None:
        return "It waits for approval; no schedule sends it."
    if slot.state == Slot.State.MISSED:
        return slot.why
    zone = slot.schedule.time_zone
    goes_at = max(slot.goes_at or slot.due_at, timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=1))
    when = f"{goes_at.astimezone(ZoneInfo(zone)):%A, %d %B %Y, %H:%M} ({zone})"
    if slot.schedule.goes_by_itself:
        return f"It goes by itself on {when} unless it is held."
    return f"It waits for approval; it is due on {slot.due_at.astimezone(ZoneInfo(zone)):%A, %d %B %Y, %H:%M} ({zone})."


def _offered(edition: Edition) -> list[dict[str, Any]]:
    """The next ranked photos with what speaks for them."""
    items = candidates_left(edition=edition)[:OFFERED]
    photos = Photo.objects.select_related("label", "claimed", "volunteer").in_bulk([item.candidate.id for item in items])
    return [
        {"photo": photos[item.candidate.id], "score": f"{item.parts.score:.3f}", "likes": item.parts.likes}
        for item in items
        if item.candidate.id in photos
    ]
