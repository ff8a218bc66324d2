"""RELEASE → PHONE: whom a phone believes: a pinned root key, by it the keys that sign manifests, and a floor under the clock.

After TUF, The Update Framework (theupdateframework.github.io): the root is offline and signs only keys; the online keys sign
manifests and can be replaced and revoked without a new app.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from clients import files, refusals
from clients.calls import Http, text_of
from clients.signatures import Envelope, public_key, whole

KEYS_TYPE = "photorally-keys+jwt"
ROOT_TYPE = "photorally-root+jwt"
ADDRESS = ".well-known/photorally-keys.json"
CLOCK_SLACK_S = 86_400  # seconds a document may come from the future; phones' clocks are off by minutes, not by days
# Above what the phone has, of manifests and of key sets: 27 years of one a night. A slip or a stolen key that says 2^31 would
# otherwise be the last version that any phone takes; one that stays within the bound costs a part of the numbers, not all.
VERSION_JUMP_MOST = 10_000
VERSION_MOST = 1_000_000  # for a phone that has none yet, and for all: 2,700 years of one a night
ROTATIONS_MOST = 100  # of the root, in one document; each is signed by people, a few in a decade


@dataclass(frozen=True)
class Trust:
    """What a phone remembers between updates. Times are Unix seconds; keys are public JWKs with `kid`."""

    root_version: int
    root: Mapping[str, Any]
    keys_version: int = 0  # the highest set seen; 0 before the first
    newest_issued_at: int = 0  # of all documents believed: a clock set back below it is not believed

    @classmethod
    def pinned(cls, root: Mapping[str, Any]) -> Self:
        """From what ships with an app: {"version": 1, "key": JWK}. Raises Malformed."""
        try:
            version, key = whole(root["version"]), root["key"]
        except (KeyError, TypeError, ValueError) as error:
            raise refusals.Malformed("The pinned root cannot be read.") from error
        public_key(key)
        return cls(version, key)

    def now(self, clock: float) -> float:
        """The time to judge by: never before the newest document that was believed."""
        return max(clock, self.newest_issued_at)

    def seen(self, issued_at: int) -> Self:
        """This, after a document of that time was believed."""
        return replace(self, newest_issued_at=max(self.newest_issued_at, issued_at))

    def follow(self, document: Mapping[str, Any], *, clock: float) -> tuple[Self, "KeySet"]:
        """Judge what the server publishes as its keys: {"root", "rotations": […], "keys"}. Returns the trust after it.

        Raises Malformed, WrongAlgorithm, WrongType, RootNotVouched, KeysNotVouched, KeysExpired, NotYetValid,
        KeysLowerVersion, VersionJump; nothing of the document counts then.
        """
        rotations, token = document.get("rotations"), document.get("keys")
        if not isinstance(rotations, list) or len(rotations) > ROTATIONS_MOST or not isinstance(token, str):
            raise refusals.Malformed("The keys' document has no `rotations` or no `keys`.")
        held = self
        for rotation in rotations:
            held = held._rotated(rotation)
        found = KeySet.read(token, held.root)
        now = held.now(clock)
        if now >= found.expires_at:
            raise refusals.KeysExpired(f"Key set {found.version} expired {now - found.expires_at:.0f} s ago.")
        if found.issued_at > now + CLOCK_SLACK_S:
            raise refusals.NotYetValid("The key set was issued in this phone's future: check its clock.")
        if found.version < held.keys_version:
            raise refusals.KeysLowerVersion(f"Key set {found.version} was offered, {held.keys_version} was seen.")
        refuse_jump(found.version, held.keys_version)
        return replace(held, keys_version=found.version).seen(found.issued_at), found

    def _rotated(self, rotation: Any) -> Self:
        """The trust after one rotation of the root: the next version, signed by the root held and by the new one."""
        try:
            payload, signatures = rotation["payload"], rotation["signatures"]
            envelopes = [Envelope.read(f"{one['protected']}.{payload}.{one['signature']}", ROOT_TYPE) for one in signatures]
            content = envelopes[0].unverified()
            version, new = whole(content["version"]), content["root"]
            public_key(new)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise refusals.Malformed("A rotation of the root cannot be read.") from error
        if version <= self.root_version:
            return self  # followed before
        if version != self.root_version + 1:
            raise refusals.RootNotVouched(f"Root {version} follows root {self.root_version}: one between them is missing.")
        for key in (self.root, new):
            if not any(envelope.kid == key["kid"] and _fits(envelope, key) for envelope in envelopes):
                raise refusals.RootNotVouched(f"Root {version} is not signed by {key['kid']!r}: the old and the new must sign.")
        return replace(self, root_version=version, root=new)


@dataclass(frozen=True)
class KeySet:
    """Who may sign manifests, as the root says."""

    version: int
    issued_at: int
    expires_at: int
    keys: Mapping[str, tuple[Mapping[str, Any], int]]  # kid: the JWK, and when its time is over
    revoked: frozenset[str]

    @classmethod
    def read(cls, token: str, root: Mapping[str, Any]) -> Self:
        """The set in a compact JWS of the root. Raises Malformed, WrongAlgorithm, WrongType, KeysNotVouched."""
        envelope = Envelope.read(token, KEYS_TYPE)
        if envelope.kid != root["kid"] or not _fits(envelope, root):
            raise refusals.KeysNotVouched(f"The key set is not signed by root {root['kid']!r}.")
        content = envelope.unverified()
        try:
            for key in content["keys"]:
                public_key(key)
            return cls(
                version=whole(content["version"]),
                issued_at=whole(content["issued_at"]),
                expires_at=whole(content["expires_at"]),
                keys={key["kid"]: (key, whole(key["not_after"])) for key in content["keys"]},
                revoked=frozenset(str(kid) for kid in content["revoked"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise refusals.Malformed(f"The key set lacks or garbles {error}.") from error

    def signer(self, kid: str, *, now: float) -> Mapping[str, Any]:
        """The key that may sign manifests now. Raises RevokedKey, UnknownKey, ExpiredKey."""
        if kid in self.revoked:
            raise refusals.RevokedKey(f"Key {kid!r} is revoked.")
        if kid not in self.keys:
            raise refusals.UnknownKey(f"Key {kid!r} is not in key set {self.version}.")
        key, not_after = self.keys[kid]
        if now >= not_after:
            raise refusals.ExpiredKey(f"Key {kid!r} was good until {not_after}.")
        return key


def refuse_jump(version: int, have: int | None) -> None:
    """Raises VersionJump. `have`: what the phone has of this, None or 0 before the first."""
    most = min(have + VERSION_JUMP_MOST, VERSION_MOST) if have else VERSION_MOST
    if version > most:
        raise refusals.VersionJump(f"Version {version} is beyond {most}: it would keep all later ones away.")


def _fits(envelope: Envelope, key: Mapping[str, Any]) -> bool:
    try:
        envelope.open(key)
    except refusals.BadSignature:
        return False
    return True


class Keyring:
    """One phone's trust in one server, kept in `trust.json`. All its recognizers share it.

    `root` is what ships with the app. Without one, the root that the server names at first use is pinned: good for a server on
    one's own machine, where there is nobody between; an app that strangers install ships its root.
    """

    def __init__(self, file: Path, http: Http, *, clock: Callable[[], float], root: Mapping[str, Any] | None = None) -> None:
        self.file, self.http, self.clock, self.root = file, http, clock, root
        self.trust: Trust | None = None

    def keys(self) -> KeySet:
        """The present key set, asked for each time: a revocation must arrive. May raise a Refused, ServerRefused, TryLater."""
        kept = self._kept()
        headers = {"If-None-Match": kept["etag"]} if kept.get("etag") else {}
        with self.http.call("GET", ADDRESS, headers=headers, stream=True, authorized=False) as response:
            if response.status_code == 304 and kept:
                text, etag = kept["document"], kept["etag"]  # judged again: it may have expired meanwhile
            else:
                text, etag = text_of(response), response.headers.get("ETag", "")
        try:
            document = json.loads(text)
            first = kept.get("trust") or self.root or document["root"]
            trust = Trust(**first) if "root_version" in first else Trust.pinned(first)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise refusals.Malformed("The server's keys cannot be read.") from error
        if not isinstance(document, dict):
            raise refusals.Malformed("The server's keys are no JSON object.")
        self.trust, found = trust.follow(document, clock=self.clock())
        self._keep({"etag": etag, "document": text})
        return found

    def now(self) -> float:
        """The time to judge manifests by."""
        return self.trust.now(self.clock()) if self.trust else self.clock()

    def saw(self, issued_at: int) -> None:
        """Remember the time of a manifest that was believed."""
        assert self.trust is not None  # keys() comes first
        self.trust = self.trust.seen(issued_at)
        self._keep(self._kept())

    def _kept(self) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads(self.file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return kept

    def _keep(self, kept: dict[str, Any]) -> None:
        assert self.trust is not None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        files.replace(self.file, json.dumps({**kept, "trust": vars(self.trust)}).encode())
