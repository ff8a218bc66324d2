"""INBOX, on the web: the home page, the archive, and what the links in mails open."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.paginator import InvalidPage, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from collector import challenges
from collector.addresses import client_address
from collector.errors import UnknownRecognizer
from collector.models import Challenge, Recognizer
from config import addresses
from config.errors import Problem
from newsletter import links, subscriptions
from newsletter.content import model_news
from newsletter.errors import UnknownEdition, UnknownPage
from newsletter.mail import words_of
from newsletter.models import Subscriber
from newsletter.reading import published, read
from newsletter.subscriptions import Wanted
from newsletter.tasks import ask

View = Callable[..., HttpResponse]


def page(view: View) -> View:
    """A Problem becomes a page that says what to do."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            response = render(
                request, "problem.html", {"title": problem.title, "detail": problem.detail}, status=problem.status
            )
            if problem.retry_after_s is not None:
                response["Retry-After"] = str(problem.retry_after_s)
            return response

    return answer


@require_safe
@page
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and what is asked today."""
    today = timezone.now().date()
    active = list(Recognizer.objects.filter(active=True).prefetch_related("labels"))
    asked = {found.recognizer_id: found for found in Challenge.objects.filter(recognizer__in=active, day=today)}
    recognizers = [
        {
            "recognizer": recognizer,
            "challenge": asked.get(recognizer.pk)
            or (challenges.todays(recognizer=recognizer, day=today) if recognizer.labels.all() else None),
            "model": model_news(recognizer),
        }
        for recognizer in active
    ]
    return render(request, "newsletter/home.html", {"recognizers": recognizers})


@require_http_methods(["GET", "HEAD", "POST"])
@page
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Published editions, newest first, by pages of `?page=`, and the form to subscribe; a POST of the form answers the same
    for every address."""
    recognizer = recognizer_of(slug)
    if request.method == "POST":
        form = request.POST
        asked = subscriptions.subscribe(
            recognizer=recognizer, email=form.get("email", ""), address=client_address(request), wanted=wanted_in(form)
        )
        if asked.confirmation_due is not None:
            ask.ring(str(asked.pk))
        return render(request, "newsletter/asked.html", {"recognizer": recognizer})
    listed = Paginator(published(recognizer.pk), settings.EDITIONS_PER_PAGE)
    number = request.GET.get("page", "1")
    try:
        editions = listed.page(number)
    except InvalidPage:
        raise UnknownPage(f"It has the pages 1 to {listed.num_pages}.", page=number[:40]) from None
    context = {"recognizer": recognizer, "editions": editions, "wanted": Wanted()}
    return render(request, "newsletter/archive.html", context)


@require_safe
@page
def edition(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One published edition, without what was withdrawn since."""
    recognizer = recognizer_of(slug)
    found = published(recognizer.pk).filter(number=number).first()
    if found is None:
        raise UnknownEdition("The archive lists those that were published.", number=number)
    reading = read(edition=found)
    own = reading.pictured[len(reading.entries) :]
    shown = [(entry, addresses.media(entry.view_sha256), entry.photo.width) for entry in own if entry.view_sha256]
    context = {"recognizer": recognizer, "reading": reading, "own_pictured": shown}
    return render(request, "newsletter/edition.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST confirms: mail scanners follow links, and must not subscribe anybody."""
    if request.method == "POST":
        subscriber = subscriptions.confirm(token=token)
        context = {"recognizer": subscriber.recognizer, "preferences": links.preferences(links.leave(subscriber.pk))}
        return render(request, "newsletter/confirmed.html", context)
    asked = links.confirming(token)
    context = {"recognizer": asked.subscriber.recognizer, "chosen": words_of(asked), "volunteer": asked.volunteer}
    return render(request, "newsletter/confirm.html", context)


# No CSRF token: RFC 8058 has mail programs POST here on their own, without cookie or page. The signed address is the proof,
# and all that a forged POST with it could do is what its owner's link is for.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def leave(request: HttpRequest, token: str) -> HttpResponse:
    """GET and HEAD change nothing and show a button; POST leaves at once."""
    if request.method == "POST":
        subscriber = subscriptions.leave(token=token)
        return render(request, "newsletter/left.html", {"recognizer": subscriber.recognizer})
    subscriber = links.leaving(token)
    gone = subscriber.state in (Subscriber.State.LEFT, Subscriber.State.SUPPRESSED)
    return render(request, "newsletter/leave.html", {"recognizer": subscriber.recognizer, "gone": gone, "token": token})


def wanted_in(form: QueryDict) -> Wanted:
    """What is ticked in a form of templates/newsletter/_choices.html."""
    return Wanted("daily" in form, "weekly" in form, "reminder" in form)


def recognizer_of(slug: str) -> Recognizer:
    # Inactive ones too: what was published stays readable, and its readers must be able to leave.
    recognizer = Recognizer.objects.filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("The home page lists those that there are.", recognizer=slug)
    return recognizer
