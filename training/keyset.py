"""RELEASE → PHONE: the file that says which keys sign manifests: a root's word, and how that root follows from the first one.

After TUF, The Update Framework: a root key that is kept offline signs only keys; the online key signs every hour and can be
replaced or revoked. Phones hold the root's public key alone. What they check is in docs/phone/README.md.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from training.errors import KeySetProblem

ALGORITHM = "Ed25519"
KEYS_TYPE = "photorally-keys+jwt"
ROOT_TYPE = "photorally-root+jwt"


@dataclass(frozen=True)
class KeySet:
    """What a root has signed. Times are Unix seconds; `keys` are public JWKs with `kid` and `not_after`; `revoked` are kids."""

    version: int
    issued_at: int
    expires_at: int
    keys: tuple[Mapping[str, Any], ...]
    revoked: tuple[str, ...] = ()

    def key(self, kid: str) -> Mapping[str, Any] | None:
        """The key of this name, unless it is revoked."""
        return next((key for key in self.keys if key["kid"] == kid and kid not in self.revoked), None)

    def with_key(self, key: OKPKey, *, not_after: int) -> Self:
        """This set with a key more, or with another end of its time."""
        listed = {**public(key), "not_after": not_after}
        return replace(self, keys=(*(old for old in self.keys if old["kid"] != listed["kid"]), listed))

    def ending(self, kids: Iterable[str], *, not_after: int) -> Self:
        """This set with the time of these keys cut short; never lengthened."""
        keys = ({**key, "not_after": min(key["not_after"], not_after)} if key["kid"] in kids else key for key in self.keys)
        return replace(self, keys=tuple(keys))

    def without(self, kid: str) -> Self:
        """This set with a key revoked, also one that it does not list."""
        return replace(self, keys=tuple(k for k in self.keys if k["kid"] != kid), revoked=tuple(sorted({*self.revoked, kid})))

    def renewed(self, *, now: int, valid_s: int) -> Self:
        """The next version of this set, without keys whose time is over."""
        keys = tuple(key for key in self.keys if key["not_after"] > now)
        return replace(self, version=self.version + 1, issued_at=now, expires_at=now + valid_s, keys=keys)


@dataclass(frozen=True)
class Document:
    """What is published: the first root, the rotations since, and the set that the last root has signed."""

    first: Mapping[str, Any]  # {"version": 1, "key": JWK}
    rotations: tuple[Mapping[str, Any], ...]  # JWS general serialization, each signed by the old and the new root
    root: OKPKey
    set: KeySet

    @property
    def root_version(self) -> int:
        return int(self.first["version"]) + len(self.rotations)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises KeySetProblem where the chain from the first root to the set has a gap: no phone would follow it."""
        try:
            content = json.loads(text)
            root = OKPKey.import_key(content["root"]["key"])
            for number, rotation in enumerate(content["rotations"], start=content["root"]["version"] + 1):
                root = _next_root(rotation, number, root)
            signed = json.loads(_opened(content["keys"], KEYS_TYPE, root))
            signed["keys"], signed["revoked"] = tuple(signed["keys"]), tuple(signed["revoked"])
            return cls(content["root"], tuple(content["rotations"]), root, KeySet(**signed))
        except (JoseError, ValueError, KeyError, TypeError, IndexError) as error:
            raise KeySetProblem(
                f"The file is no key set whose root vouches for it ({type(error).__name__}: {error})."
            ) from error

    def signed(self, root: OKPKey, content: KeySet) -> str:
        """The file's text with this set, signed by the present root. Raises KeySetProblem for another root's key."""
        if root.thumbprint() != self.root.thumbprint():
            raise KeySetProblem(f"Root {self.root_version} is {self.root.thumbprint()}; the key given is {root.thumbprint()}.")
        return _text(self.first, self.rotations, root, content)

    def rotated(self, old: OKPKey, new: OKPKey, content: KeySet) -> str:
        """The file's text under a new root, for which both vouch."""
        if old.thumbprint() != self.root.thumbprint():
            raise KeySetProblem(
                f"Root {self.root_version} is {self.root.thumbprint()}; the old key given is {old.thumbprint()}."
            )
        payload = _packed({"version": self.root_version + 1, "root": public(new)})
        members = [{"protected": _header(key, ROOT_TYPE)} for key in (old, new)]
        by_kid = {key.thumbprint(): key for key in (old, new)}

        def find(obj: Any) -> OKPKey:
            return by_kid[obj.headers()["kid"]]

        rotation = jws.serialize_json(members, payload, find, algorithms=[ALGORITHM])  # type: ignore[arg-type]
        return _text(self.first, (*self.rotations, rotation), new, content)


def first_text(root: OKPKey, content: KeySet) -> str:
    """The file's text where there was none: this root is the one that phones pin."""
    return _text({"version": 1, "key": public(root)}, (), root, content)


def public(key: OKPKey) -> dict[str, Any]:
    """The public JWK (RFC 8037), named by its RFC 7638 thumbprint."""
    return {**key.as_dict(private=False), "kid": key.thumbprint()}


def compact(key: OKPKey, typ: str, content: Mapping[str, Any]) -> str:
    """A compact JWS of canonical JSON. Ed25519 signs deterministically: the same content is the same bytes."""
    return jws.serialize_compact(_header(key, typ), _packed(content), key, algorithms=[ALGORITHM])


def _text(first: Mapping[str, Any], rotations: Iterable[Mapping[str, Any]], root: OKPKey, content: KeySet) -> str:
    token = compact(root, KEYS_TYPE, asdict(content))
    return json.dumps({"root": first, "rotations": list(rotations), "keys": token}, indent=1) + "\n"


def _header(key: OKPKey, typ: str) -> dict[str, Any]:
    return {"alg": ALGORITHM, "typ": typ, "kid": key.thumbprint()}


def _packed(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _opened(token: str, typ: str, key: OKPKey) -> bytes:
    signed = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
    if signed.headers() != _header(key, typ):
        raise ValueError(f"a header is {signed.headers()}")
    return signed.payload


def _next_root(rotation: Mapping[str, Any], number: int, old: OKPKey) -> OKPKey:
    """The root of one rotation, if the one before and it itself signed it. Raises ValueError, JoseError and others."""
    tokens = [f"{one['protected']}.{rotation['payload']}.{one['signature']}" for one in rotation["signatures"]]
    content = json.loads(_opened(tokens[0], ROOT_TYPE, old))
    new = OKPKey.import_key(content["root"])
    _opened(tokens[1], ROOT_TYPE, new)
    if content["version"] != number:
        raise ValueError(f"root {content['version']} stands where root {number} should")
    return new
