"""RELEASE → PHONE: is this manifest to be trusted, and is it for us?"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from clients import refusals
from clients.canaries import Canaries
from clients.frames import Confidence

ALGORITHM = "Ed25519"  # exactly: a verifier that lets the token choose has been talked into "none" before
TYPE = "photorally-manifest+jwt"  # what else this key may sign is no manifest
CLOCK_SLACK_S = 86_400  # seconds a manifest may come from the future; phones' clocks are off by minutes, not by days
MODEL_MOST_BYTES = 200 * 2**20  # of a model's file; the ones in use have 1 to 10 MB
FORMATS = ("int8",)  # in order of preference
INPUT = {"channels": "RGB", "layout": "NHWC", "batch": 1, "dtype": "uint8"}  # what `clients.vision` can feed


@dataclass(frozen=True)
class Offer:
    """What a verified manifest offers to this phone. Times are Unix seconds; `labels` has one (slug, name) per output."""

    recognizer: str
    channel: str
    version: int
    issued_at: int
    expires_at: int
    minimum_app: str
    labels: tuple[tuple[str, str], ...]
    format: str
    sha256: str
    bytes: int
    url: str
    size: int  # pixels, the side of the square input
    confidence: Confidence
    canaries: Canaries | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """Read a payload whose signature was checked. Raises Malformed, NoUsableArtifact."""
        try:
            artifact = _choose(payload["artifacts"])
            offer = cls(
                recognizer=str(payload["recognizer"]),
                channel=str(payload["channel"]),
                version=int(payload["version"]),
                issued_at=int(payload["issued_at"]),
                expires_at=int(payload["expires_at"]),
                minimum_app=str(payload["minimum_app"]),
                labels=tuple((str(label["slug"]), str(label["name"])) for label in payload["labels"]),
                format=str(artifact["format"]),
                sha256=str(artifact["sha256"]),
                bytes=int(artifact["bytes"]),
                url=str(artifact["url"]),
                size=int(artifact["input"]["width"]),
                confidence=Confidence.of(artifact.get("confidence"), len(payload["labels"])),
                canaries=Canaries.of(artifact.get("canaries"), len(payload["labels"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise refusals.Malformed(f"The manifest lacks or garbles {error}.") from error
        # The digest becomes a file's name and the length a file's size: a signing key in wrong hands must not reach further.
        if not re.fullmatch(r"[0-9a-f]{64}", offer.sha256) or not 0 < offer.bytes <= MODEL_MOST_BYTES or not offer.labels:
            raise refusals.Malformed("The manifest's digest, length or labels cannot be right.")
        return offer


def _choose(artifacts: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The best artifact that this phone can feed."""
    for wanted in FORMATS:
        for artifact in artifacts:
            spec = artifact["input"]
            fits = all(spec[name] == value for name, value in INPUT.items()) and spec["width"] == spec["height"]
            if artifact["format"] == wanted and fits:
                return artifact
    offered = ", ".join(str(artifact["format"]) for artifact in artifacts) or "nothing"
    raise refusals.NoUsableArtifact(f"This phone runs {', '.join(FORMATS)} files with an input of {INPUT}; offered: {offered}.")


def open_signed(token: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a compact JWS signed by one of the pinned keys.

    Raises Malformed, WrongAlgorithm, UnknownKey, BadSignature; the header is judged before any key is used.
    """
    try:
        header = jws.extract_compact(token.encode()).protected
    except (JoseError, ValueError) as error:
        raise refusals.Malformed("The manifest is no compact JWS.") from error
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise refusals.WrongAlgorithm(f"alg is {header.get('alg')!r}, typ {header.get('typ')!r}.")
    key = _pinned(jwks, header.get("kid"))
    try:
        payload = json.loads(jws.deserialize_compact(token, key, algorithms=[ALGORITHM]).payload)
    except JoseError as error:
        raise refusals.BadSignature("The signature does not fit the content.") from error
    except ValueError as error:
        raise refusals.Malformed("The manifest's payload is no JSON.") from error
    if not isinstance(payload, dict):
        raise refusals.Malformed("The manifest's payload is no JSON object.")
    return payload


def _pinned(jwks: Mapping[str, Any], kid: object) -> OKPKey:
    try:
        found = [key for key in jwks["keys"] if kid and key.get("kid") == kid and key.get("crv") == ALGORITHM]
        if not found:
            raise refusals.UnknownKey(f"Key {kid!r} is not one of the pinned keys.")
        return OKPKey.import_key(found[0])
    except (JoseError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise refusals.Malformed("The pinned key set cannot be read.") from error


def judge(offer: Offer, *, recognizer: str, channel: str, app: str, now: float, have: Offer | None) -> None:
    """Whether to follow a signed offer. `now`: Unix seconds; `have`: what the phone runs. Raises a Refused."""
    if (offer.recognizer, offer.channel) != (recognizer, channel):
        raise refusals.WrongRecognizer(f"Asked for {recognizer}/{channel}, got {offer.recognizer}/{offer.channel}.")
    if now >= offer.expires_at:
        raise refusals.Expired(f"Version {offer.version}'s manifest expired {now - offer.expires_at:.0f} s ago.")
    if offer.issued_at > now + CLOCK_SLACK_S:
        raise refusals.NotYetValid("The manifest was issued in this phone's future: check its clock.")
    if have is not None and offer.version < have.version:
        raise refusals.LowerVersion(f"Version {offer.version} was offered, version {have.version} is here.")
    if have is not None and offer.version == have.version and offer.sha256 != have.sha256:
        raise refusals.VersionReused(f"Version {offer.version} names another file than before.")
    if _numbers(app) < _numbers(offer.minimum_app):
        raise refusals.AppTooOld(f"Version {offer.version} needs app {offer.minimum_app}, this is {app}.")


def _numbers(version: str) -> tuple[int, ...]:
    """ "1.10.2" → (1, 10, 2), without trailing zeros: 1.0 is 1."""
    try:
        numbers = [int(part) for part in version.split(".")]
    except ValueError as error:
        raise refusals.Malformed(f"{version!r} is no app version.") from error
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
