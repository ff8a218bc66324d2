"""RELEASE → PHONE: what a channel offers, held by each web process for some seconds, so that "as before" costs no query.

A phone whose ETag is the held one gets its 304 from memory, and a phone that names none, so has no manifest yet, what is held:
both may hear of a newer release MANIFEST_HOLD_S later, as from any cache. Whoever names another ETag is answered as the rows
say now: perhaps another process has given it something newer than what is held here. So no answer takes a phone back to a
lower version, whichever process it reaches.
"""

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from django.conf import settings

from collector.errors import UnknownRecognizer
from collector.models import Recognizer
from training import manifest, release
from training.errors import NothingReleased
from training.models import Channel


@dataclass(frozen=True)
class Signed:
    """A manifest as it is sent, and its strong ETag."""

    token: bytes
    etag: str


@dataclass
class _Held:
    """A channel's rows as read at `since` (Unix seconds), and what was signed of them since."""

    row: Channel
    since: float
    signed: dict[tuple[int, str, int], Signed] = field(default_factory=dict)

    @property
    def fresh(self) -> bool:
        return 0 <= time.time() - self.since < settings.MANIFEST_HOLD_S

    def answer(self, phone: Mapping[str, str]) -> Signed:
        """The manifest for this phone. Raises NothingReleased."""
        offered, arm = release.offered(self.row, **phone), release.arm_of(self.row, **phone)
        key = (offered.pk, arm, int(time.time()) // settings.MANIFEST_PERIOD_S)
        if key not in self.signed:
            token = manifest.sign(self.row, offered, arm=arm).encode()
            self.signed[key] = Signed(token, f'"{hashlib.sha256(token).hexdigest()}"')
        return self.signed[key]


_held: dict[tuple[str, str], _Held] = {}  # recognizer's slug and channel; as many as there are channels


def answer(*, slug: str, channel: str, phone: Mapping[str, str], known: str) -> Signed:
    """What this phone should run; `phone`: what it says of itself, "device", "app", "platform" and "tier"; `known`: its
    If-None-Match. Raises UnknownRecognizer, NothingReleased."""
    held = _held.get((slug, channel))
    if held is not None and held.fresh:
        with suppress(NothingReleased):  # to this device: look whether that is still so
            signed = held.answer(phone)
            if not known or signed.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
                return signed
    return _load(slug, channel).answer(phone)


def forget() -> None:
    """Hold nothing more: for tests, whose rows go without a trace."""
    _held.clear()


def _load(slug: str, channel: str) -> _Held:
    since = time.time()
    recognizer = Recognizer.objects.filter(slug=slug).first()
    if recognizer is None:
        raise UnknownRecognizer("GET /api/v1/recognizers lists them.", recognizer=slug)
    row = release.pointer(recognizer, channel)
    if row is None:
        _held.pop((slug, channel), None)
        raise NothingReleased(f"{recognizer.name} has released nothing on {channel} yet.", recognizer=slug, channel=channel)
    _held[slug, channel] = held = _Held(row, since)
    return held
