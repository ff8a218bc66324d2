"""Why a phone does not take what it was offered: one named error per reason. Whatever it had before, it keeps.

`reason` is the name that every client uses (docs/phone/README.md lists them all; docs/phone/vectors expects them).
"""

import re
from typing import ClassVar


class Refused(Exception):
    """The phone keeps yesterday's model. The text says why, for the app's log."""

    reason: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.reason = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()  # LowerVersion: lower-version


# ---- the envelope of everything signed ---------------------------------------------------------------------------
class Malformed(Refused):
    """A document is not what the contract says."""


class WrongAlgorithm(Refused):
    """`alg` is not exactly Ed25519."""


class WrongType(Refused):
    """`typ` is another one: a document of another purpose, however well signed."""


class BadSignature(Refused):
    """The signature does not fit the content."""


# ---- keys --------------------------------------------------------------------------------------------------------
class RootNotVouched(Refused):
    """A new root that not both the old and the new root have signed, or that skips one."""


class KeysNotVouched(Refused):
    """The key set is not signed by the root that this phone holds."""


class KeysExpired(Refused):
    """The key set is too old: a revocation might be kept from this phone."""


class KeysLowerVersion(Refused):
    """A key set below one that this phone has seen: somebody replays an old set to bring a revoked key back."""


class UnknownKey(Refused):
    """The manifest names a key that is not in the set."""


class RevokedKey(Refused):
    """The manifest is signed by a key that the root has revoked."""


class ExpiredKey(Refused):
    """The manifest is signed by a key whose time is over."""


# ---- the manifest ------------------------------------------------------------------------------------------------
class WrongRecognizer(Refused):
    """A manifest of another recognizer or channel, however well signed."""


class Expired(Refused):
    """The manifest is too old to be trusted."""


class NotYetValid(Refused):
    """A document from the future: the phone's clock is wrong, and expiry could not be judged."""


class LowerVersion(Refused):
    """A version below the one the phone has: somebody replays an old manifest."""


class VersionJump(Refused):
    """A version so far above that nothing could follow it any more."""


class VersionReused(Refused):
    """The same version with another file: versions only rise."""


class AppTooOld(Refused):
    """The release needs a newer app."""


class NoUsableArtifact(Refused):
    """The release has no file of a format and an input that this phone can run."""


# ---- the file ----------------------------------------------------------------------------------------------------
class WrongLength(Refused):
    """The file is longer or shorter than the manifest says."""


class WrongDigest(Refused):
    """The file's SHA-256 is not the manifest's."""


class WrongAnswers(Refused):
    """This phone computes with the file something else than its maker did: the canaries' answers differ."""
