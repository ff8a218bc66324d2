"""`Authorization: Token <token>`: who is this phone?"""

import hashlib

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from collector.models import Volunteer
from config import rows


def hash_token(token: str) -> str:
    """SHA-256, hex. A token has 256 random bits, so a plain hash is enough: there is nothing to guess slowly."""
    return hashlib.sha256(token.encode()).hexdigest()


class VolunteerToken(BaseAuthentication):
    """Finds the volunteer by the hash of the token; 401 for a wrong one."""

    def authenticate(self, request: Request) -> tuple[Volunteer, None] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"token":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Send exactly: Authorization: Token <token>.")
        try:
            token = words[1].decode("ascii")
        except UnicodeDecodeError:
            raise AuthenticationFailed("The token is not ASCII.") from None
        found = rows.first([Volunteer], "collector_volunteer WHERE token_hash = %s AND erased_at IS NULL", [hash_token(token)])
        if found is None:
            raise AuthenticationFailed("No volunteer has this token. Register again with POST /api/v1/volunteers.")
        return found[0], None

    def authenticate_header(self, request: Request) -> str:
        return "Token"
