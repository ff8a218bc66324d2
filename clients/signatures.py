"""RELEASE → PHONE: the envelope of everything a phone trusts, a compact JWS (RFC 7515) signed with Ed25519 (RFC 9864)."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients import refusals

ALGORITHM = "Ed25519"  # exactly: a verifier that lets the token choose has been talked into "none" before
COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")  # base64url without padding, nothing around it
NUMBER_MOST = 2**53 - 1  # what JSON numbers hold exactly in every language that a phone is programmed in


@dataclass(frozen=True)
class Envelope:
    """A compact JWS whose header was judged and whose signature was not: `kid` says which key to ask."""

    token: str
    kid: str

    @classmethod
    def read(cls, token: str, typ: str) -> Self:
        """Judge the header, before any key is used. Raises Malformed, WrongAlgorithm, WrongType."""
        parts = COMPACT.fullmatch(token)
        if parts is None:
            raise refusals.Malformed("It is no compact JWS.")
        header = _json_object(parts[1], "header")
        if header.get("alg") != ALGORITHM:
            raise refusals.WrongAlgorithm(f"alg is {header.get('alg')!r}, not {ALGORITHM!r}.")
        if header.get("typ") != typ:
            raise refusals.WrongType(f"typ is {header.get('typ')!r}, not {typ!r}.")
        if "crit" in header or not isinstance(header.get("kid"), str):  # RFC 7515, 4.1.11: what is critical must be understood
            raise refusals.Malformed("The header has a crit, or no kid.")
        return cls(token, header["kid"])

    def open(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """The payload, if `key` (a public JWK) has signed it. Raises BadSignature, Malformed."""
        content, _, signature = self.token.rpartition(".")
        try:
            public_key(key).verify(_decoded(signature), content.encode())
        except (InvalidSignature, ValueError) as error:
            raise refusals.BadSignature("The signature does not fit the content.") from error
        return self.unverified()

    def unverified(self) -> dict[str, Any]:
        """The payload without asking any key. Raises Malformed."""
        return _json_object(self.token.split(".")[1], "payload")


def public_key(jwk: Mapping[str, Any]) -> Ed25519PublicKey:
    """The key of a public JWK (RFC 8037). Raises Malformed."""
    try:
        if jwk["kty"] != "OKP" or jwk["crv"] != ALGORITHM or not isinstance(jwk["kid"], str):
            raise refusals.Malformed("A key is not of type OKP and curve Ed25519, or has no kid.")
        return Ed25519PublicKey.from_public_bytes(_decoded(jwk["x"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise refusals.Malformed("A key cannot be read.") from error


def whole(value: object) -> int:
    """A JSON number that is a whole one from 0 to 2^53 - 1. Raises ValueError: "3", 3.5 and true are none."""
    if type(value) is not int or not 0 <= value <= NUMBER_MOST:
        raise ValueError(f"{value!r}, which is no whole number")
    return value


def _json_object(part: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part).decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise refusals.Malformed(f"The {what} is no JSON.") from error
    if not isinstance(value, dict):
        raise refusals.Malformed(f"The {what} is no JSON object.")
    return value


def _no_number(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")


def _decoded(text: str) -> bytes:
    """base64url without padding. Raises ValueError (binascii.Error)."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
