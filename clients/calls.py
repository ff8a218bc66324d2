"""PHONE: one HTTP call that survives a bad network, within bounds."""

import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests

ATTEMPTS = 6  # tries of one call; with FIRST_WAIT_S the last comes about 15 s after the first
FIRST_WAIT_S = 0.5  # seconds, doubled each time, of which a random share is waited: phones must not come back in step
LONGEST_WAIT_S = 60  # seconds; a longer Retry-After is for the app's scheduler, not for a waiting call
TIMEOUT_S = (5, 30)  # seconds to connect, and between two packets
PASSING = frozenset({429, 500, 502, 503, 504})  # answers that may be better later
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)  # what a bad network does
ANSWER_MOST_BYTES = 256 * 2**10  # of a JSON answer or a manifest; the largest defined one is a few KB


class ServerRefused(Exception):
    """The server's answer is final. `code` is the problem's kebab-case name, `facts` the whole problem+json."""

    def __init__(self, status: int, facts: dict[str, Any]) -> None:
        self.status = status
        self.facts = facts
        self.code = str(facts.get("type", "")).rpartition(":")[2]
        super().__init__(f"{status} {facts.get('title', '')} {facts.get('detail', '')}".strip())


class TryLater(Exception):
    """The network or the server failed every attempt, or asked for more patience than a call has."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(why)


class Http:
    """Calls to one server. Only repeatable calls are repeated: each call of the API but registration is."""

    def __init__(self, base_url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.base_url = base_url.rstrip("/") + "/"
        self.session = requests.Session()
        self.token: str | None = None
        self._sleep = sleep

    def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        stream: bool = False,
        authorized: bool = True,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """The first answer below 400. Raises ServerRefused for other final answers, TryLater when patience ends."""
        sent = dict(headers or {})
        if authorized and self.token:
            sent["Authorization"] = f"Token {self.token}"
        for attempt in range(1, ATTEMPTS + 1):
            response, why = self._try(method, path, headers=sent, stream=stream, **options)
            if response is not None:
                if response.status_code < 400:
                    return response
                if response.status_code not in PASSING or (not repeatable and response.status_code >= 500):
                    raise refusal(response)
                why = str(refusal(response))
            elif not repeatable:
                raise TryLater(f"{why}; it may have arrived, so it is not repeated.")
            wait_s = backoff_s(attempt, response)
            if attempt == ATTEMPTS or wait_s > LONGEST_WAIT_S:
                break
            self._sleep(wait_s)
        raise TryLater(f"{method} {path} failed {attempt} times: {why}", retry_after_s=wait_s)

    def pause(self, attempt: int) -> None:
        """Wait as before the next try of a call."""
        self._sleep(backoff_s(attempt, None))

    def _try(self, method: str, path: str, **options: Any) -> tuple[requests.Response | None, str]:
        """An answer, or None and the network's error."""
        try:
            return self.session.request(method, urljoin(self.base_url, path), timeout=TIMEOUT_S, **options), ""
        except BROKEN as error:
            return None, f"{type(error).__name__}: {error}"


def backoff_s(attempt: int, response: requests.Response | None) -> float:
    """Seconds until the next attempt: at least what Retry-After says."""
    backoff = FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311  no secret
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return max(backoff, float(asked)) if asked.isdecimal() else backoff


def refusal(response: requests.Response) -> ServerRefused:
    """The problem+json of an answer as an error."""
    try:
        facts = response.json()
    except requests.JSONDecodeError:
        facts = {}
    return ServerRefused(response.status_code, facts if isinstance(facts, dict) else {})


def text_of(response: requests.Response) -> str:
    """The body of a streamed answer, which may not be larger than ANSWER_MOST_BYTES."""
    body = b""
    try:
        for chunk in response.iter_content(16 * 2**10):
            body += chunk
            if len(body) > ANSWER_MOST_BYTES:
                raise TryLater(f"{response.url} answers with more than {ANSWER_MOST_BYTES} bytes.")
    except BROKEN as error:
        raise TryLater(f"The answer of {response.url} broke off: {error}") from error
    return body.decode("utf-8", "replace")
