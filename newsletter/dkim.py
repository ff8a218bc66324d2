"""INBOX: signs mail for plain SMTP (DKIM, RFC 6376; Ed25519 by RFC 8463), the very bytes that leave.

Providers sign by themselves, and so do many relays; then DKIM_KEY_FILE stays unset. Signed with `cryptography`, in 1 to 1.3 ms
a mail with RSA 2048, 0.1 to 0.4 with Ed25519; dkimpy, which computes RSA in Python, takes ten times as long. It is what the
tests verify with.
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# What a reader's program shows or acts on. RFC 8058 wants both List-Unsubscribe fields signed: a forged one would act for the
# reader. `h=` names From once more than it stands there: a second one slipped in breaks the signature (RFC 6376, 8.15).
SIGNED = (
    *("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"),
    *("list-id", "list-archive", "list-unsubscribe", "list-unsubscribe-post", "auto-submitted"),
)
RSA_LEAST_BITS = 1024  # RFC 8301: verifiers take nothing shorter
Key = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    domain: str
    selector: str
    key: Key

    def header(self, data: bytes) -> bytes:
        """The DKIM-Signature field to put before `data`, a message with CRLF line ends. Relaxed headers, simple body."""
        head, _, body = data.partition(b"\r\n\r\n")
        fields = _fields(head)
        # Of several fields of a name the last one counts first (RFC 6376, 5.4.2).
        names = [name for name in SIGNED if name in fields]
        values = [f"{name}:{fields[name][-1]}" for name in names]
        digest = base64.b64encode(hashlib.sha256(_simple(body)).digest()).decode()
        algorithm = "ed25519" if isinstance(self.key, Ed25519PrivateKey) else "rsa"
        unsigned = (
            f"v=1; a={algorithm}-sha256; c=relaxed/simple; d={self.domain}; s={self.selector}; t={int(time.time())};"
            f" h={':'.join([*names, 'from'])}; bh={digest}; b="
        )
        signed = "\r\n".join([*values, f"dkim-signature:{unsigned}"]).encode("utf-8", "surrogateescape")
        return f"DKIM-Signature: {unsigned}{base64.b64encode(self._signature(signed)).decode()}\r\n".encode()

    def _signature(self, text: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(text).digest())  # RFC 8463 signs the digest
        return self.key.sign(text, PKCS1v15(), hashes.SHA256())


def signer() -> Signer | None:
    """What DKIM_KEY_FILE, DKIM_SELECTOR and DKIM_DOMAIN name; None without a key. Raises ImproperlyConfigured."""
    if not settings.DKIM_KEY_FILE:
        return None
    if not (settings.DKIM_SELECTOR and settings.DKIM_DOMAIN):
        raise ImproperlyConfigured("DKIM_KEY_FILE needs DKIM_SELECTOR and DKIM_DOMAIN: <selector>._domainkey.<domain> in DNS.")
    return Signer(settings.DKIM_DOMAIN, settings.DKIM_SELECTOR, _key(settings.DKIM_KEY_FILE))


@lru_cache(maxsize=1)  # read once a process, like the other keys: a new one takes a restart
def _key(path: str) -> Key:
    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"DKIM_KEY_FILE={path} is no readable private key in PEM without a password.") from error
    if isinstance(key, RSAPrivateKey) and key.key_size >= RSA_LEAST_BITS:
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ImproperlyConfigured(
        f"DKIM_KEY_FILE={path} is neither an RSA key of {RSA_LEAST_BITS} bits or more nor an Ed25519 key."
    )


def _simple(body: bytes) -> bytes:
    """Empty lines at the end are one line end (RFC 6376, 3.4.3). A whole body is not copied where nothing is to be done."""
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    return b"\r\n" if not body else body if body.endswith(b"\r\n") else body + b"\r\n"


def _fields(head: bytes) -> dict[str, list[str]]:
    """Header fields by name in small letters, each value unfolded and its blanks made one (RFC 6376, 3.4.2)."""
    fields: dict[str, list[str]] = {}
    for line in re.sub(rb"\r\n(?=[ \t])", b"", head).decode("utf-8", "surrogateescape").split("\r\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), []).append(re.sub(r"[ \t]+", " ", value).strip(" \t"))
    return fields
