"""INBOX, on the web: the home page, the archive, and what the links in mails open."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from collector import challenges
from collector.addresses import client_address
from collector.errors import UnknownRecognizer
from collector.models import Challenge, Recognizer
from config.errors import Problem
from newsletter import links, subscriptions
from newsletter.edition import model_news
from newsletter.errors import UnknownEdition
from newsletter.models import Subscriber
from newsletter.reading import published, read
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
    """All published editions, and the form to subscribe; a POST of the form answers the same for every address."""
    recognizer = recognizer_of(slug)
    if request.method == "POST":
        subscriber = subscriptions.subscribe(
            recognizer=recognizer, email=request.POST.get("email", ""), address=client_address(request)
        )
        if subscriber is not None:
            ask.ring(str(subscriber.pk))
        return render(request, "newsletter/asked.html", {"recognizer": recognizer})
    return render(request, "newsletter/archive.html", {"recognizer": recognizer, "editions": published(recognizer.pk)})


@require_safe
@page
def edition(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One published edition, without what was withdrawn since."""
    recognizer = recognizer_of(slug)
    found = published(recognizer.pk).filter(number=number).first()
    if found is None:
        raise UnknownEdition("The archive lists those that were published.", number=number)
    return render(request, "newsletter/edition.html", {"recognizer": recognizer, "reading": read(edition=found)})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST confirms: mail scanners follow links, and must not subscribe anybody."""
    if request.method == "POST":
        subscriber = subscriptions.confirm(token=token)
        return render(request, "newsletter/confirmed.html", {"recognizer": subscriber.recognizer})
    return render(request, "newsletter/confirm.html", {"recognizer": links.confirming(token).recognizer})


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
    return render(request, "newsletter/leave.html", {"recognizer": subscriber.recognizer, "gone": gone})


def recognizer_of(slug: str) -> Recognizer:
    # Inactive ones too: what was published stays readable, and its readers must be able to leave.
    recognizer = Recognizer.objects.filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("The home page lists those that there are.", recognizer=slug)
    return recognizer
