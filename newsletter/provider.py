"""INBOX: hands finished messages to a mail provider's HTTP interface, by django-anymail, and says exactly how far it got.

EMAIL_URL names the provider and what its backend is given, e.g. `anymail+postmark://?server_token=…` or
`anymail+mailgun://?api_key=…&sender_domain=…`: https://anymail.dev/en/stable/esps/ has the names.
"""

import email
import email.policy
from email.mime.image import MIMEImage
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import requests
from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from newsletter.transport import ANSWER_CHARS, Begin, Call, Later, Lost, Refused, Taken, Unreachable, at_once, nothing

EXAMPLE = "Set it like anymail+postmark://?server_token=…."
NOT_OURS = {401, 403, 404}  # a wrong key, a locked account, a wrong address: the provider takes no mail of anybody
BUSY = {429, 503}  # asks to come back, and has not taken it
# Written anew by the provider, or by Django from what it is told.
MADE_BY_OTHERS = {"from", "to", "subject", "mime-version", "content-type", "content-transfer-encoding"}


class ProviderTransport:
    """One HTTP session for many messages."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        name = parts.scheme.removeprefix("anymail+").replace("-", "_")  # a scheme has no underscores
        try:
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            if not name.replace("_", "").isalnum():
                raise ValueError(name)
            backend = import_string(f"anymail.backends.{name}.EmailBackend")(**options)
        except (ValueError, ImportError, ImproperlyConfigured, TypeError, AnymailError) as error:
            raise ImproperlyConfigured(f"EMAIL_URL names no provider that anymail can talk to ({error}). {EXAMPLE}") from error
        self.backend: BaseEmailBackend = backend

    def open(self) -> None:
        self.backend.open()

    def send(
        self, *, name: str, sender: str, recipient: str, data: bytes, begin: Begin = at_once, meanwhile: Call = nothing
    ) -> Taken:
        """The provider's answer. Raises Refused, Later, Lost, Unreachable, NotBegun.

        It is handed over as soon as the request may have left: of a connection that breaks then, or of 500, 502 and 504, nobody
        knows. `name` is no help: providers take the same message twice.
        """
        message = _as_django(data, sender, recipient)
        begin(meanwhile)
        try:
            self.backend.send_messages([message])
        except AnymailRecipientsRefused as error:
            raise Refused(_said(error)) from error
        except AnymailAPIError as error:
            raise self._failure(error) from error
        except AnymailError as error:  # the message has something that this provider cannot carry
            raise Refused(_said(error)) from error
        status: Any = message.anymail_status  # type: ignore[attr-defined]  # anymail puts it there
        if not (status.status or set()) & {"sent", "queued"}:  # it answered well, and did not say what became of the mail
            raise Lost(f"the provider says {status.status or 'nothing'} of it", handed_over=True)
        return Taken(f"{name} {', '.join(sorted(status.status or ()))}"[:ANSWER_CHARS], str(status.message_id or ""))

    def close(self) -> None:
        self.backend.close()

    def _failure(self, error: AnymailAPIError) -> Exception:
        said, code = _said(error), error.status_code
        if isinstance(error, requests.ConnectTimeout) or (isinstance(error, requests.ConnectionError) and _unconnected(error)):
            return Unreachable(said)
        if code is None:
            return Lost(said, handed_over=True)
        if code in NOT_OURS:
            return Unreachable(said)
        if code in BUSY:
            return Later(said)
        return Lost(said, handed_over=True) if code >= 500 else Refused(said)


def _unconnected(error: BaseException) -> bool:
    """Whether no connection came about: urllib3 says so only by the kind of the innermost error."""
    while error is not None:
        if type(error).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectionRefusedError"):
            return True
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = cast(BaseException, error.__cause__ or getattr(inner, "reason", None) or inner)
    return False


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:ANSWER_CHARS]


def _as_django(data: bytes, sender: str, recipient: str) -> EmailMultiAlternatives:
    """The finished message in the parts that anymail takes: providers write the bytes themselves, and sign them."""
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    headers = {name: str(value) for name, value in parsed.items() if name.lower() not in MADE_BY_OTHERS}
    text, html = parsed.get_body(["plain"]), parsed.get_body(["html"])
    message = EmailMultiAlternatives(
        str(parsed["Subject"]), text.get_content() if text else "", str(parsed["From"] or sender), [recipient], headers=headers
    )
    if html is not None:
        message.attach_alternative(html.get_content(), "text/html")
    for part in parsed.walk():
        if part.get_content_maintype() == "image":
            message.attach(_inline(part))
    return message


def _inline(part: Any) -> Any:
    """Django attaches what is a legacy MIMEBase as it is, with its Content-ID."""
    picture = MIMEImage(part.get_payload(decode=True), part.get_content_subtype())
    for name in ("Content-ID", "Content-Disposition"):
        if part[name]:
            picture[name] = str(part[name])
    return picture
