"""INBOX: addresses that stand in mails: absolute, and signed where they act for somebody."""

from functools import lru_cache
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.core import signing

from config import addresses
from config.addresses import absolute
from newsletter.errors import BadLink, ExpiredLink
from newsletter.models import Edition, Request, Subscriber

# A salt each: a token for one purpose is worth nothing for the other.
CONFIRM_SALT = "newsletter.confirm"
LEAVE_SALT = "newsletter.leave"


def home() -> str:
    return absolute("home")


def archive(slug: str) -> str:
    return absolute("newsletter", slug)


def edition(edition: Edition) -> str:
    return absolute("edition", edition.recognizer.slug, edition.number)


def fame(slug: str) -> str:
    return absolute("fame", slug)


def media(view_sha256: str) -> str:
    return urljoin(settings.SITE_URL, addresses.media(view_sha256))


def confirm(request: Request) -> str:
    """Works for CONFIRM_VALID_S, and not across a departure: rejoining needs the newer link."""
    token = signing.dumps([request.pk.hex, _generation(request.subscriber)], salt=CONFIRM_SALT)
    return absolute("confirm", token)


def leave(subscriber_id: UUID) -> str:
    """Works for ever, and is the same in every mail: an old newsletter must still be a way out."""
    return _leaving_at(settings.SITE_URL) + _leave_signer().sign(subscriber_id.hex)


def preferences(leave: str) -> str:
    """Beside the link to leave, with the same token; so a mail's shared text needs one mark for both."""
    return f"{leave}/preferences"


def confirming(token: str) -> Request:
    """What is confirmed with this token. Raises BadLink, ExpiredLink."""
    try:
        key, generation = signing.loads(token, salt=CONFIRM_SALT, max_age=settings.CONFIRM_VALID_S)
    except signing.SignatureExpired:
        raise ExpiredLink("Subscribe again: a new link comes by mail.") from None
    except signing.BadSignature:
        raise BadLink("Copy the whole address out of the mail.") from None
    request = Request.objects.select_related("subscriber__recognizer", "volunteer").filter(pk=UUID(key)).first()
    if request is None or _generation(request.subscriber) != generation:
        raise ExpiredLink("You have left since it was sent, or asked anew. Subscribe again: a new link comes by mail.")
    return request


def leaving(token: str) -> Subscriber:
    """Whose link this is. Raises BadLink."""
    try:
        key = _leave_signer().unsign(token)
    except signing.BadSignature:
        raise BadLink("Copy the whole address out of the mail, or use the link of another newsletter mail.") from None
    subscriber = Subscriber.objects.select_related("recognizer").filter(pk=UUID(key)).first()
    if subscriber is None:
        raise BadLink("This subscription no longer exists; no mail goes to it.")
    return subscriber


@lru_cache(maxsize=4)  # asked for every mail; to reverse an address takes as long as to sign a token
def _leaving_at(site_url: str) -> str:
    return absolute("leave", "token").removesuffix("token")


def _leave_signer() -> signing.Signer:
    return signing.Signer(salt=LEAVE_SALT, sep=".")


def _generation(subscriber: Subscriber) -> str:
    return subscriber.left_at.isoformat() if subscriber.left_at else ""
