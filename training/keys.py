"""RELEASE: the Ed25519 key that signs manifests, and the public half that phones check them with."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from config.secrets import read_or_make
from training.errors import SigningKeyProblem

CURVE: Final = "Ed25519"
MEND = "Make one with `manage.py keys make <file>`, readable by this process only, and set SIGNING_KEY_FILE to its path."


def signing_key() -> OKPKey:
    """The private key in SIGNING_KEY_FILE. The embedded default's, under VAR_DIR, is made on first use; another file must be
    there. Raises SigningKeyProblem.
    """
    path = Path(settings.SIGNING_KEY_FILE)
    try:
        if path.is_relative_to(settings.VAR_DIR):
            read_or_make(path, make)
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise SigningKeyProblem(f"SIGNING_KEY_FILE={str(path)!r} cannot be read ({error.strerror}). {MEND}") from error


def make() -> str:
    """A new private key as a JWK."""
    return json.dumps(OKPKey.generate_key(CURVE, private=True).as_dict(private=True))


def public_jwks() -> dict[str, Any]:
    """The JWK set that phones fetch: public members only, `kid` is the RFC 7638 thumbprint."""
    key = signing_key()
    public = key.as_dict(private=False)
    return {"keys": [{**public, "kid": key.thumbprint(), "alg": CURVE, "use": "sig"}]}


@cache
def _parsed(path: Path, changed_ns: int) -> OKPKey:  # `changed_ns`: a file that was replaced is read again
    try:
        content = json.loads(path.read_text())
        key = OKPKey.import_key(content)
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise SigningKeyProblem(f"SIGNING_KEY_FILE={str(path)!r} holds no JWK ({type(error).__name__}). {MEND}") from error
    if content.get("crv") != CURVE or not key.is_private:
        raise SigningKeyProblem(f"SIGNING_KEY_FILE={str(path)!r} holds no private {CURVE} key. {MEND}")
    return key
