"""MODERATION, on screen, once more: one accepted photo at a time whose label is doubted, and three buttons."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from collector import second_looks
from collector.models import Label, Photo, Recognizer
from collector.moderation import REJECTIONS
from collector.review import choice, must_moderate
from config.errors import Problem


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET shows the doubt at position `at`; POST carries out the answer and shows what moved up to its place."""
    moderator = must_moderate(request)
    recognizers, recognizer = choice(request, moderator)
    looks = second_looks.wanted(recognizer=recognizer) if recognizer else []
    if request.method == "POST":
        _carry_out(request, moderator, looks)
        return HttpResponseRedirect(request.get_full_path())
    at = _position(request)
    at = at if at < len(looks) else 0  # past the last one: those that were left for later
    context |= {
        "title": "Look again: the model doubts these labels",
        "recognizers": recognizers,
        "recognizer": recognizer,
        "doubted": len(looks),
        "number": at + 1,
        "shown": _shown(looks[at]) if looks else None,
        "later": _address(recognizer, at + 1) if recognizer and len(looks) > 1 else "",
        "reasons": list(REJECTIONS.items()),
    }
    return TemplateResponse(request, "collector/second_look.html", context)


def _carry_out(request: HttpRequest, moderator: User, looks: list[second_looks.SecondLook]) -> None:
    """The form names the photo and the suggestion that it showed: a doubt that has changed since is not answered unseen."""
    seen = (request.POST.get("photo", ""), request.POST.get("suggested", ""))
    look = next((look for look in looks if (str(look.photo_id), str(look.suggested_id)) == seen), None)
    if look is None:
        messages.warning(request, "Nothing was decided: another moderator was faster, or the photo was withdrawn.")
        return
    what = request.POST.get("answer", "")
    try:
        decision = second_looks.answer(look=look, moderator=moderator, what=what, reason=request.POST.get("reason", ""))
    except Problem as problem:
        messages.warning(request, f"The photo was not decided: {problem}")
        return
    if decision.photo.label is None:
        messages.success(request, f"The photo is rejected: it {decision.get_reason_display()}.")
    else:
        messages.success(request, f"The photo {'stays' if what == 'keep' else 'is now'} “{decision.photo.label.name}”.")


def _position(request: HttpRequest) -> int:
    raw = request.GET.get("at", "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 7 else 0


def _address(recognizer: Recognizer, at: int) -> str:
    return f"?{urlencode({'recognizer': recognizer.slug, 'at': at})}"


def _shown(look: second_looks.SecondLook) -> dict[str, Any]:
    labels = Label.objects.in_bulk([look.given_id, look.suggested_id])
    photo = Photo.objects.select_related("claimed", "challenge", "volunteer").filter(pk=look.photo_id).first()
    return {"photo": photo, "given": labels[look.given_id], "suggested": labels[look.suggested_id], "because": look.because}
