"""RELEASE → PHONE: is this manifest to be trusted, and is it for us?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from clients import refusals
from clients.canaries import Canaries
from clients.frames import Confidence
from clients.signatures import whole
from clients.trust import CLOCK_SLACK_S, refuse_jump

TYPE = "photorally-manifest+jwt"  # what else this key may sign is no manifest
MODEL_MOST_BYTES = 200 * 2**20  # of a model's file; the ones in use have 1 to 10 MB
FORMATS = ("int8-small", "int8")  # in order of preference: the first is for slow phones alone
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
    def of(cls, payload: Mapping[str, Any], *, tier: str = "") -> Self:
        """Read a payload whose signature was checked, on a phone of `tier`. Raises Malformed, NoUsableArtifact."""
        try:
            artifact = _choose(payload["artifacts"], tier)
            offer = cls(
                recognizer=str(payload["recognizer"]),
                channel=str(payload["channel"]),
                version=whole(payload["version"]),
                issued_at=whole(payload["issued_at"]),
                expires_at=whole(payload["expires_at"]),
                minimum_app=str(payload["minimum_app"]),
                labels=tuple((str(label["slug"]), str(label["name"])) for label in payload["labels"]),
                format=str(artifact["format"]),
                sha256=str(artifact["sha256"]),
                bytes=whole(artifact["bytes"]),
                url=str(artifact["url"]),
                size=whole(artifact["input"]["width"]),
                confidence=Confidence.of(artifact.get("confidence"), len(payload["labels"])),
                canaries=Canaries.of(artifact.get("canaries"), len(payload["labels"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise refusals.Malformed(f"The manifest lacks or garbles {error}.") from error
        # The digest becomes a file's name and the length a file's size: a signing key in wrong hands must not reach further.
        if not re.fullmatch(r"[0-9a-f]{64}", offer.sha256) or not 0 < offer.bytes <= MODEL_MOST_BYTES or not offer.labels:
            raise refusals.Malformed("The manifest's digest, length or labels cannot be right.")
        return offer


def _choose(artifacts: list[Mapping[str, Any]], tier: str) -> Mapping[str, Any]:
    """The best artifact that this phone can feed: one for its tier, where there is one."""
    for wanted in FORMATS:
        for artifact in artifacts:
            if tier not in artifact.get("tiers", [tier]):
                continue
            spec = artifact["input"]
            fits = all(spec[name] == value for name, value in INPUT.items()) and spec["width"] == spec["height"]
            if artifact["format"] == wanted and fits:
                return artifact
    offered = ", ".join(str(artifact["format"]) for artifact in artifacts) or "nothing"
    raise refusals.NoUsableArtifact(f"This phone runs {', '.join(FORMATS)} files with an input of {INPUT}; offered: {offered}.")


def judge(offer: Offer, *, recognizer: str, channel: str, app: str, now: float, have: Offer | None) -> None:
    """Whether to follow a signed offer. `now`: Unix seconds; `have`: what the phone runs, None before the first model and when
    only a revoked key vouched for it. Raises a Refused; the order of the questions is part of the contract.
    """
    if (offer.recognizer, offer.channel) != (recognizer, channel):
        raise refusals.WrongRecognizer(f"Asked for {recognizer}/{channel}, got {offer.recognizer}/{offer.channel}.")
    if now >= offer.expires_at:
        raise refusals.Expired(f"Version {offer.version}'s manifest expired {now - offer.expires_at:.0f} s ago.")
    if offer.issued_at > now + CLOCK_SLACK_S:
        raise refusals.NotYetValid("The manifest was issued in this phone's future: check its clock.")
    if have is not None and offer.version < have.version:
        raise refusals.LowerVersion(f"Version {offer.version} was offered, version {have.version} is here.")
    refuse_jump(offer.version, have.version if have else None)
    if have is not None and offer.version == have.version and offer.sha256 != have.sha256:
        raise refusals.VersionReused(f"Version {offer.version} names another file than before.")
    if _numbers(app) < _numbers(offer.minimum_app):
        raise refusals.AppTooOld(f"Version {offer.version} needs app {offer.minimum_app}, this is {app}.")


def _numbers(version: str) -> tuple[int, ...]:
    """ "1.10.2" → (1, 10, 2), without trailing zeros: 1.0 is 1."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*", version):
        raise refusals.Malformed(f"{version!r} is no app version.")
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
