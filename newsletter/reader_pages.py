"""INBOX, on the web: what the links beside the one to leave open: what comes, and the erasure of an address."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from newsletter import forgetting, links, subscriptions
from newsletter.models import Subscriber
from newsletter.views import page, wanted_in


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what comes, POST changes it. With a CSRF token, unlike leaving: no mail program posts here."""
    saved = request.method == "POST"
    subscriber = subscriptions.choose(token=token, wanted=wanted_in(request.POST)) if saved else links.leaving(token)
    context = {
        "recognizer": subscriber.recognizer,
        "subscriber": subscriber,
        "wanted": subscriptions.wanted_by(subscriber),
        "confirmed": subscriber.state == Subscriber.State.CONFIRMED,
        "saved": saved,
        "token": token,
    }
    return render(request, "newsletter/preferences.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """GET says what would go, POST erases."""
    subscriber, names = forgetting.names_of(token=token)
    context = {"recognizer": subscriber.recognizer, "names": names, "token": token}
    if request.method == "POST":
        forgetting.erase_own(token=token)
        return render(request, "newsletter/erased.html", context)
    return render(request, "newsletter/erase.html", context)
