"""RELEASE: the Ed25519 key that signs manifests, and the file by which the root says that phones may believe it."""

import fcntl
import json
import time
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from config.files import write_whole
from config.secrets import read_or_make
from training import keyset
from training.errors import KeySetProblem, SigningKeyProblem
from training.keyset import Document, KeySet

CURVE: Final = "Ed25519"
MEND = "Make one with `manage.py keys make online FILE`, readable by this process only, and set SIGNING_KEY_FILE to its path."
MEND_SET = "`manage.py keys show` says what is in it; docs/how-a-phone-gets-a-model.md, how to sign another."


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
    except SigningKeyProblem as problem:
        raise SigningKeyProblem(f"SIGNING_KEY_FILE={problem.detail} {MEND}") from problem


def make() -> str:
    """A new private key as a JWK."""
    return json.dumps(OKPKey.generate_key(CURVE, private=True).as_dict(private=True))


def read_key(path: Path, *, private: bool = True) -> OKPKey:
    """The Ed25519 key in a file; with `private=False` its public half is enough. Raises SigningKeyProblem."""
    try:
        content = json.loads(path.read_text())
        key = OKPKey.import_key(content)
    except OSError as error:
        raise SigningKeyProblem(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise SigningKeyProblem(f"{str(path)!r} holds no JWK ({type(error).__name__}).") from error
    if content.get("crv") != CURVE or (private and not key.is_private):
        raise SigningKeyProblem(f"{str(path)!r} holds no {'private ' if private else ''}{CURVE} key.")
    return key


def published() -> str:
    """The text of KEYS_FILE, which phones fetch. The embedded default's is signed here and renewed in time, by a root key
    beside it; another file must be there. Raises KeySetProblem, SigningKeyProblem.
    """
    return present()[0]


def present() -> tuple[str, Document]:
    """The text of KEYS_FILE and what it says. Raises KeySetProblem, SigningKeyProblem."""
    path = Path(settings.KEYS_FILE)
    if path == embedded_file():
        _keep_embedded(path)
    return read_set(path)


def fits(document: Document, *, now: float) -> None:
    """Whether phones that believe the document believe what is signed now. Raises KeySetProblem, SigningKeyProblem."""
    kid = signing_key().thumbprint()
    key = document.set.key(kid)
    if key is None:
        said = "has revoked" if kid in document.set.revoked else "does not list"
        raise KeySetProblem(f"Key set {document.set.version} {said} the key in SIGNING_KEY_FILE, {kid}: phones refuse it.")
    if now >= min(key["not_after"], document.set.expires_at):
        raise KeySetProblem(f"Key set {document.set.version}, or its key {kid}, has expired: phones refuse all manifests.")


def ends_at(document: Document) -> int:
    """Unix seconds after which phones refuse what is signed with the present key, the set or the key being over."""
    key = document.set.key(signing_key().thumbprint())
    return min(document.set.expires_at, key["not_after"] if key else 0)


def read_set(path: Path) -> tuple[str, Document]:
    """The text of a set's file and what it says, its signatures checked. Raises KeySetProblem."""
    try:
        return _checked(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise KeySetProblem(f"{str(path)!r} cannot be read ({error.strerror}).") from error


# ---- the embedded default ----------------------------------------------------------------------------------------
def embedded_file() -> Path:
    """Where the key set lies that this installation signs for itself."""
    return Path(settings.VAR_DIR) / "keys" / "keys.json"


def embedded_root() -> Path:
    """The private root key of the embedded default. An installation for strangers keeps its root offline."""
    return Path(settings.VAR_DIR) / "keys" / "root.jwk"


def _keep_embedded(path: Path) -> None:
    """Sign a set where none is, where the signing key is not in it, and where half of its time is over."""
    if _is_fresh(path):
        return
    signer = signing_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:  # processes that start together must not sign two sets of one version
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = read_set(path)[1] if path.exists() else None
        if _is_fresh(path) or (document and not _is_ours(document)):
            return
        read_or_make(embedded_root(), make)
        root, now = read_key(embedded_root()), int(time.time())
        content = document.set if document else KeySet(0, now, now, ())
        mine = content.key(signer.thumbprint())
        if mine is None or all(key["not_after"] <= mine["not_after"] for key in content.keys):  # else another has replaced it
            content = content.with_key(signer, not_after=now + settings.KEY_VALID_S)
        content = content.renewed(now=now, valid_s=settings.KEYS_VALID_S)
        text = document.signed(root, content) if document else keyset.first_text(root, content)
        write_whole(path, text.encode())


def _is_fresh(path: Path) -> bool:
    """Whether there is nothing to do about the embedded set. A revoked key is a person's decision: no program takes it back."""
    if not path.exists():
        return False
    content, kid = read_set(path)[1].set, signing_key().thumbprint()
    return kid in content.revoked or (
        content.key(kid) is not None and content.expires_at - time.time() > settings.KEYS_VALID_S / 2
    )


def _is_ours(document: Document) -> bool:
    """Whether the set's root is the one beside it: if it was taken offline or replaced, renewing is its owner's business."""
    return embedded_root().exists() and read_key(embedded_root()).thumbprint() == document.root.thumbprint()


@cache
def _parsed(path: Path, changed_ns: int) -> OKPKey:  # `changed_ns`: a file that was replaced is read again
    return read_key(path)


@cache
def _checked(path: Path, changed_ns: int) -> tuple[str, Document]:
    text = path.read_text()
    return text, Document.read(text)
