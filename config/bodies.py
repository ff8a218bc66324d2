"""What a request may send: JSON is small; only a view that reads its own body takes more."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config.errors import Problem, problem_response


class BodyTooLarge(Problem):
    status, code, title = 413, "body-too-large", "The body is too large."


class RefuseLargeBodies:
    """413 before a byte of the body is read, unless the view says `reads_its_own_body` and counts for itself.

    That is True, or a function of the request: a form for staff must not let strangers fill the disk while it is parsed.

    Django's DATA_UPLOAD_MAX_MEMORY_SIZE does not do it: DRF's parsers read from the stream, past that check.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        handler = getattr(view, "view_class", getattr(view, "cls", view))
        own = getattr(handler, "reads_its_own_body", False)
        if own(request) if callable(own) else own:
            return None
        announced = request.META.get("CONTENT_LENGTH") or "0"
        # A number of ten digits is too large whatever it is; int() would take its time over one of ten thousand.
        if announced.isdecimal() and len(announced) < 10 and int(announced) <= settings.JSON_MAX_BYTES:
            return None
        most = settings.JSON_MAX_BYTES
        return problem_response(
            BodyTooLarge(f"At most {most} bytes are taken here, {announced[:20]} were announced.", most=most)
        )
