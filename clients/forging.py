"""What a server signs, and what only a forger would: keys and documents of the test vectors, the same to the byte each time."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.manifest import TYPE as MANIFEST_TYPE
from clients.signatures import ALGORITHM
from clients.trust import KEYS_TYPE, ROOT_TYPE

NEVER = 4_102_444_800  # Unix seconds, 1 January 2100: when the time of keys is no matter


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def packed(content: object) -> bytes:
    """JSON as it is signed."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


@dataclass(frozen=True)
class Signer:
    """An Ed25519 key pair. `named` makes it from a public name: such a key protects nothing and is for tests alone."""

    private: Ed25519PrivateKey

    @classmethod
    def named(cls, name: str) -> Self:
        return cls(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))

    @classmethod
    def of(cls, jwk: dict[str, Any]) -> Self:
        """From a private JWK, as the server keeps it."""
        return cls(Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "==")))

    @property
    def x(self) -> str:
        return encoded(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        """RFC 7638: SHA-256 of the required members in lexical order."""
        return encoded(hashlib.sha256(packed({"crv": ALGORITHM, "kty": "OKP", "x": self.x})).digest())

    @property
    def jwk(self) -> dict[str, Any]:
        return {"kty": "OKP", "crv": ALGORITHM, "x": self.x, "kid": self.kid}

    def sign(self, payload: object, typ: str = MANIFEST_TYPE, **header: Any) -> str:
        """A compact JWS. `payload`: bytes as they are, all else as JSON; `header` overrides or adds, None leaves out."""
        head = {"alg": ALGORITHM, "typ": typ, "kid": self.kid} | header
        content = payload if isinstance(payload, bytes) else packed(payload)
        signed = f"{encoded(packed({k: v for k, v in head.items() if v is not None}))}.{encoded(content)}"
        return f"{signed}.{encoded(self.private.sign(signed.encode()))}"

    def hs256(self, payload: object) -> str:
        """The classic: the public key taken for a shared secret."""
        header = {"alg": "HS256", "typ": MANIFEST_TYPE, "kid": self.kid}
        signed = f"{encoded(packed(header))}.{encoded(packed(payload))}"
        secret = self.private.public_key().public_bytes_raw()
        return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"

    def key_set(
        self,
        *keys: "Signer",
        version: int,
        issued_at: int,
        expires_at: int,
        revoked: tuple[str, ...] = (),
        not_after: int = NEVER,
        typ: str = KEYS_TYPE,
        **header: Any,
    ) -> str:
        """This key, as the root, says which keys sign manifests."""
        listed = [{**key.jwk, "not_after": not_after} for key in keys]
        content = {"version": version, "issued_at": issued_at, "expires_at": expires_at, "keys": listed, "revoked": revoked}
        return self.sign(content, typ, **header)


def rotation(version: int, new: Signer, *signers: Signer) -> dict[str, Any]:
    """A new root in JWS general serialization, signed by these: honestly by the old and the new one."""
    content = {"version": version, "root": new.jwk}
    tokens = [signer.sign(content, ROOT_TYPE).split(".") for signer in signers]
    signatures = [{"protected": protected, "signature": signature} for protected, _, signature in tokens]
    return {"payload": encoded(packed(content)), "signatures": signatures}


def flipped(token: str, part: int, byte: int = 10) -> str:
    """One bit of a compact JWS's part (0 header, 1 payload, 2 signature) is another."""
    parts = token.split(".")
    data = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    data[byte] ^= 1
    parts[part] = encoded(bytes(data))
    return ".".join(parts)
