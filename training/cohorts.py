"""RELEASE → PHONE: who gets what: shares of devices that stay where they are, arms, and which phones a release is for.

Plain rules without a database. A device is never given a lower version than before: phones refuse one, so that nobody can hand
them an old manifest, and a device would be left with what it should be rid of. `drops` says of a move whether it would do that.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

BUCKETS = 10_000  # of devices: a share is exact to a hundredth of a percent
TREATMENT, CONTROL = "treatment", "control"
APP = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")  # "1.10.2"; what is longer is no app's version


@dataclass(frozen=True)
class Phone:
    """What a phone says of itself; empty: it does not say. `device`: its random id, `app`: the app's version."""

    device: str = ""
    app: str = ""
    platform: str = ""
    tier: str = ""


@dataclass(frozen=True)
class Target:
    """Which phones may get a release. Empty sets: every platform, every tier."""

    minimum_app: str = "1.0"
    platforms: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()

    def fits(self, phone: Phone) -> bool:
        """A phone that does not say its app's version judges for itself: `minimum_app` stands in the manifest. One that does
        not say its platform or tier gets nothing that is only for some."""
        told = bool(APP.fullmatch(phone.app))
        return (
            (not told or numbers(phone.app) >= numbers(self.minimum_app))
            and (not self.platforms or phone.platform in self.platforms)
            and (not self.tiers or phone.tier in self.tiers)
        )

    def covers(self, other: "Target") -> bool:
        """Whether every phone that fits the other fits this one."""
        return (
            numbers(self.minimum_app) <= numbers(other.minimum_app)
            and _within(other.platforms, self.platforms)
            and _within(other.tiers, self.tiers)
        )


@dataclass(frozen=True)
class Candidate:
    """A release as far as it matters here."""

    version: int
    target: Target = Target()


@dataclass(frozen=True)
class Offer:
    """What a channel offers. `release` goes to `rollout` percent of the devices and `previous` to the others; beside them,
    of `arm_percent` percent one half gets `arm` (treatment) and the other stays (control). `arm_number` tells one arm's draw
    from the next one's. `earlier` are complete releases that phones get for which the newer ones are not.
    """

    name: str  # "<recognizer>/<channel>"
    release: Candidate | None
    rollout: int = 100
    previous: Candidate | None = None
    arm: Candidate | None = None
    arm_percent: int = 0
    arm_number: int = 0
    earlier: tuple[Candidate, ...] = ()


def given(offer: Offer, phone: Phone) -> Candidate | None:
    """The newest release that this phone may get; None where there is none for it."""
    ladder = _ladder(offer, in_ramp(offer, phone.device), arm_of(offer, phone) == TREATMENT)
    return next((candidate for candidate in ladder if candidate.target.fits(phone)), None)


def in_ramp(offer: Offer, device: str) -> bool:
    """Sticky: a device keeps its bucket, so a rising percentage only adds devices. Who names no id waits for everybody."""
    if offer.rollout == 100 or not device:
        return offer.rollout == 100
    return _number(f"{offer.name}/{device}")[0] % BUCKETS < offer.rollout * (BUCKETS // 100)


def arm_of(offer: Offer, phone: Phone) -> str:
    """TREATMENT, CONTROL, or "" for who takes no part: outside the share, without an id, or unfit for the arm's release.

    Drawn apart from the ramp's buckets and from those of earlier arms; the half that a device belongs to does not depend on the
    share, so that a rising share only adds devices to both.
    """
    if offer.arm is None or not phone.device or not offer.arm.target.fits(phone):
        return ""
    share, half = _number(f"{offer.name}/arm {offer.arm_number}/{phone.device}")
    if share % BUCKETS >= offer.arm_percent * (BUCKETS // 100):
        return ""
    return (CONTROL, TREATMENT)[half % 2]


def reachable(offer: Offer) -> set[int]:
    """The versions that some phone may be given."""
    return {candidate.version for place in _places(offer) for candidate in _met(_ladder(offer, *place))}


def drops(before: Offer, after: Offer) -> bool:
    """Whether a move could give some device a lower version than it was given before.

    Whatever a device had, it finds on its new ladder something at least as high that is for all phones that had that.
    """
    return any(
        not any(new.version >= old.version and new.target.covers(old.target) for new in _ladder(after, *there))
        for here, there in _moves(before, after)
        for old in _met(_ladder(before, *here))
    )


def numbers(app: str) -> tuple[int, ...]:
    """ "1.10.0" → (1, 10): compared by numbers, without trailing zeros."""
    parts = [int(part) for part in app.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _within(inner: frozenset[str], outer: frozenset[str]) -> bool:
    return not outer or (bool(inner) and inner <= outer)


def _number(text: str) -> tuple[int, int]:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def _ladder(offer: Offer, inside: bool, treated: bool) -> list[Candidate]:
    """What a device gets, in this order: the first that is for it."""
    steps = [offer.arm if treated else None, offer.release if inside else None]
    steps.append(offer.previous if offer.rollout < 100 else None)  # nobody is outside a complete release
    earlier = sorted(offer.earlier, key=lambda candidate: -candidate.version)
    return [step for step in steps if step is not None] + earlier


def _met(ladder: list[Candidate]) -> Iterator[Candidate]:
    """Those that some phone gets: what an earlier step covers, nobody reaches."""
    for place, candidate in enumerate(ladder):
        if not any(above.target.covers(candidate.target) for above in ladder[:place]):
            yield candidate


def _places(offer: Offer) -> list[tuple[bool, bool]]:
    """(inside the ramp, in treatment): those where there may be devices."""
    inside = [True] * (offer.rollout > 0) + [False] * (offer.rollout < 100)
    treated = [False] + [True] * (offer.arm is not None and offer.arm_percent > 0)
    return list(product(inside, treated))


def _moves(before: Offer, after: Offer) -> Iterator[tuple[tuple[bool, bool], tuple[bool, bool]]]:
    """Which places devices may go from and to."""
    same_arm = before.arm_number == after.arm_number and after.arm is not None
    for here, there in product(_places(before), _places(after)):
        left_ramp = here[0] and not there[0] and after.rollout >= before.rollout
        joined_ramp = there[0] and not here[0] and after.rollout <= before.rollout
        left_arm = here[1] and not there[1] and same_arm and after.arm_percent >= before.arm_percent
        if not (left_ramp or joined_ramp or left_arm):
            yield here, there
