"""PHONE: a code that somebody was given lets a volunteer into a closed recognizer, or into a closed installation."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.errors import InvitationNotValid, InvitationRequired
from collector.limits import hashed, of_address, spend
from collector.models import Invitation, Membership, Recognizer, Volunteer

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O and U, so nothing is misread or spells a word
GROUPS, GROUP = 3, 4  # twelve characters of 5 bits: 60 bits
MOST_USES, LONGEST_DAYS = 100_000, 3650  # what an invitation may be made for
MISREAD = str.maketrans("OIL", "011", "- \t\r\n")


def invite(*, recognizer: Recognizer | None, uses: int, days: int | None, note: str = "") -> tuple[Invitation, str]:
    """Make an invitation for `uses` volunteers that expires after `days` (None: never); returns the row and its code.

    Only a keyed hash of the code is kept: it is shown now or never. Without a recognizer it only lets volunteers register.
    """
    code = new_code()
    expires_at = timezone.now() + timedelta(days=days) if days is not None else None
    row = Invitation.objects.create(
        code_hash=hash_code(code), recognizer=recognizer, uses_left=uses, expires_at=expires_at, note=note
    )
    return row, code


def new_code() -> str:
    """Three groups of four characters, 60 random bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def hash_code(code: str) -> str:
    """Keyed: 60 bits are many for a guesser on the network, few for one who has the table. Case, blanks and dashes are free."""
    return hashed("invitation:" + code[:64].upper().translate(MISREAD))


def count_try(address: str) -> None:
    """Before a code is looked up: right ones count too, or guesses that come together would all be looked up at once.

    Raises LimitReached.
    """
    spend(of_address("invitation codes", address, settings.INVITATION_TRIES_PER_DAY))


def redeem(*, volunteer: Volunteer, code: str) -> Recognizer | None:
    """Let this volunteer in; returns the recognizer, None for an invitation that only lets somebody register.

    A member who redeems for the same recognizer again uses nothing up. Call `count_try` first. Raises InvitationNotValid.
    """
    invitation = Invitation.objects.filter(code_hash=hash_code(code)).select_related("recognizer").first()
    if invitation is None:
        raise InvitationNotValid("Check its twelve characters, or ask for another one.")
    with transaction.atomic():
        if invitation.recognizer is not None:
            _, joined = Membership.objects.get_or_create(
                volunteer=volunteer, recognizer=invitation.recognizer, defaults={"invitation": invitation}
            )
            if not joined:
                return invitation.recognizer
        # The last use is one row's to give: the condition stands in the UPDATE.
        open_still = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        if not Invitation.objects.filter(open_still, pk=invitation.pk, uses_left__gt=0).update(uses_left=F("uses_left") - 1):
            raise InvitationNotValid("It was used up or has expired. Ask for another one.")  # the membership goes with it
    return invitation.recognizer


def join(*, volunteer: Volunteer, code: str, address: str) -> Recognizer:
    """A registered volunteer joins a closed recognizer. Raises InvitationNotValid, LimitReached."""
    count_try(address)
    with transaction.atomic():
        recognizer = redeem(volunteer=volunteer, code=code)
        if recognizer is None:  # raised inside: its use is given back
            raise InvitationNotValid("It lets somebody register, and you have.")
    return recognizer


def open_to(volunteer: Volunteer | None) -> QuerySet[Recognizer]:
    """The active recognizers that this volunteer, or a stranger, may see and send to."""
    public = Q(invited_only=False)
    if volunteer is not None:
        public |= Q(pk__in=Membership.objects.filter(volunteer=volunteer).values("recognizer"))
    return Recognizer.objects.filter(public, active=True)


def must_be_invited(*, volunteer: Volunteer, recognizer: Recognizer) -> None:
    """Raise InvitationRequired where the recognizer is closed and the volunteer is no member."""
    if recognizer.invited_only and not Membership.objects.filter(volunteer=volunteer, recognizer=recognizer).exists():
        raise InvitationRequired(
            "This recognizer is closed. Redeem a code first: POST /api/v1/volunteers/me/invitations.",
            recognizer=recognizer.slug,
        )
