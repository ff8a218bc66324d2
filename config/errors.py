"""Errors that carry facts, and the one handler that turns them into RFC 9457 problem+json."""

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.template.loader import render_to_string
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response

PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):
    """Something the caller can mend. `facts` are JSON-ready and go into the answer beside `title` and `detail`.

    Subclasses set `status` (HTTP), `code` (stable, machine-readable, kebab-case) and `title` (one sentence).
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be carried out."

    def __init__(self, detail: str = "", *, retry_after_s: int | None = None, **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after_s = retry_after_s
        self.facts = facts

    def body(self) -> dict[str, Any]:
        return {
            "type": f"urn:photorally:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.facts,
        }


class BodyBroken(Problem):
    status, code, title = 408, "body-broken", "The body did not arrive whole, or too slowly."


def problem_response(problem: Problem) -> JsonResponse:
    """The answer of a plain Django view for `problem`."""
    response = JsonResponse(problem.body(), status=problem.status, content_type=PROBLEM_TYPE)
    if problem.retry_after_s is not None:
        response["Retry-After"] = str(problem.retry_after_s)
    return response


def as_problem_json(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: our own problems, DRF's and Django's, all in one shape. Others stay a 500."""
    problem = _as_problem(error)
    if problem is None:
        return None
    headers = {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Token"
    return Response(problem.body(), status=problem.status, headers=headers, content_type=PROBLEM_TYPE)


def _as_problem(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnreadablePostError):
        return BodyBroken("The connection broke, or was too slow, within the body. Send it again.")
    if isinstance(error, Http404):
        error = drf.NotFound()
    elif isinstance(error, PermissionDenied):
        error = drf.PermissionDenied()
    if not isinstance(error, drf.APIException):
        return None
    facts: dict[str, Any] = {"errors": error.detail} if isinstance(error, drf.ValidationError) else {}
    detail = "Some fields are missing or wrong: see errors." if facts else str(error.detail)
    problem = Problem(detail, **facts)
    problem.status = error.status_code  # type: ignore[misc]  # DRF's own errors have no class of ours
    problem.code = str(error.default_code).replace("_", "-")  # type: ignore[misc]
    problem.title = str(error.default_detail)  # type: ignore[misc]
    return problem


def not_found(request: HttpRequest | Request, exception: Exception) -> HttpResponse:
    """404: a page for people, who say that they read HTML; problem+json for every program."""
    if "text/html" in request.headers.get("Accept", ""):
        return HttpResponse(render_to_string("404.html"), status=404)
    problem = Problem(f"There is nothing at {request.path}. The API is described at /api/schema/.")
    problem.status, problem.code, problem.title = 404, "not-found", "Not found."  # type: ignore[misc]
    return problem_response(problem)


def server_error(request: HttpRequest) -> JsonResponse:
    """500: nothing of the inside leaks out."""
    problem = Problem("The server failed on this request. It was logged; trying again later is safe.")
    problem.status, problem.code, problem.title = 500, "server-error", "Server error."  # type: ignore[misc]
    return problem_response(problem)
