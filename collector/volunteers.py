"""PHONE: somebody joins, with consent, and gets a token that only they know."""

import re
import secrets
import unicodedata

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from collector import invitations
from collector.authentication import hash_token
from collector.errors import ConsentRequired, HandleTaken, InvalidHandle, InvitationRequired
from collector.limits import MINUTE, of_address, spend
from collector.models import Volunteer

HANDLE = re.compile(r"[\w .\-]{2,40}")  # letters of any script, digits and a few marks: it is printed in mails and pages


def register(*, consent: bool, handle: str | None, address: str, invitation: str | None = None) -> tuple[Volunteer, str]:
    """Make a volunteer; returns the row and the token, which is not kept anywhere.

    `address` is the caller's network address, counted as a hash against REGISTRATIONS_PER_DAY and _PER_MINUTE. `invitation`
    is a code; with REGISTRATION=invited nobody joins without one.
    Raises ConsentRequired, InvalidHandle, HandleTaken, InvitationRequired, InvitationNotValid, LimitReached.
    """
    if not consent:
        raise ConsentRequired(f'Send {{"consent": true}} once the volunteer has agreed to version {settings.CONSENT_VERSION}.')
    handle = clean_handle(handle) if handle else None
    if settings.REGISTRATION == "invited" and not invitation:
        raise InvitationRequired('Send the code that you were given: {"invitation": "…"}.')
    spend(
        of_address("registrations", address, settings.REGISTRATIONS_PER_DAY),
        of_address("registrations", address, settings.REGISTRATIONS_PER_MINUTE, MINUTE),
    )
    if invitation:
        invitations.count_try(address)  # outside the transaction below: a wrong code is counted too
    token = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            volunteer = Volunteer.objects.create(
                handle=handle,
                token_hash=hash_token(token),
                consent_version=settings.CONSENT_VERSION,
                consented_at=timezone.now(),
            )
            if invitation:  # a code that lets nobody in leaves no volunteer behind
                invitations.redeem(volunteer=volunteer, code=invitation)
    except IntegrityError:
        raise HandleTaken(handle=handle) from None
    return volunteer, token


def clean_handle(handle: str) -> str:
    """NFC, without surrounding blanks; raises InvalidHandle for controls, direction marks and anything outside HANDLE."""
    cleaned = unicodedata.normalize("NFC", handle).strip()
    if not HANDLE.fullmatch(cleaned):
        raise InvalidHandle("Use 2 to 40 letters, digits, blanks, dots, hyphens or underscores.", handle=handle[:80])
    return cleaned
