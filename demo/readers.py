"""INBOX, from outside: people who subscribe by the web form and follow the link in the mail that they get."""

import html
import re
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import requests

MAIL_LIMIT_S = 30  # seconds until a confirmation must have come
HIDDEN = re.compile(r'<input[^>]*name="csrfmiddlewaretoken"[^>]*value="([^"]+)"')


class NoMail(RuntimeError):
    """A mail did not come in time."""


def mails(folder: Path, *, to: str = "") -> Iterator[EmailMessage]:
    """The mails lying in `folder`, only those to one address if named, oldest first."""
    for file in sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        if not to or to in str(mail["To"]):
            yield mail


def plain_text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part else ""


def post_form(session: requests.Session, page: str, fields: dict[str, str]) -> requests.Response:
    """Open a page and send its form, as a browser without JavaScript does. Raises requests.HTTPError."""
    opened = session.get(page, timeout=30)
    opened.raise_for_status()
    token = HIDDEN.search(opened.text)
    hidden = {"csrfmiddlewaretoken": html.unescape(token.group(1))} if token else {}
    sent = session.post(page, data={**hidden, **fields}, headers={"Referer": page}, timeout=30)
    sent.raise_for_status()
    return sent


def subscribe(page: str, address: str) -> None:
    """Ask for the newsletter; nothing comes before the address is confirmed."""
    with requests.Session() as session:
        post_form(session, page, {"email": address, "daily": "1"})


def confirm(folder: Path, address: str, site: str) -> None:
    """Wait for the confirmation mail and follow its link. Raises NoMail."""
    deadline = time.monotonic() + MAIL_LIMIT_S
    while not (letters := [mail for mail in mails(folder, to=address) if _links(mail, site)]):
        if time.monotonic() > deadline:
            raise NoMail(f"No confirmation for {address} came to {folder} within {MAIL_LIMIT_S} s.")
        time.sleep(0.2)
    follow(letters[-1], site)


def follow(mail: EmailMessage, site: str) -> None:
    """Open the confirmation link of a mail and press its button."""
    with requests.Session() as session:
        post_form(session, _links(mail, site)[0], {})


def _links(mail: EmailMessage, site: str) -> list[str]:
    return re.findall(re.escape(site) + r"/newsletter/confirm/\S+", plain_text(mail))
