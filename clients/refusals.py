"""Why a phone does not take what it was offered: one named error per reason. Whatever it had before, it keeps."""


class Refused(Exception):
    """The phone keeps yesterday's model. The text says why, for the app's log."""


class Malformed(Refused):
    """The manifest or the key set is not what the contract says."""


class WrongAlgorithm(Refused):
    """`alg` is not exactly Ed25519, or `typ` is not a manifest's."""


class UnknownKey(Refused):
    """The manifest names a key that is not pinned. New keys come with a new app, not over the air."""


class BadSignature(Refused):
    """The signature does not fit the content."""


class WrongRecognizer(Refused):
    """A manifest of another recognizer or channel, however well signed."""


class Expired(Refused):
    """The manifest is too old to be trusted."""


class NotYetValid(Refused):
    """The manifest is from the future: the phone's clock is wrong, and expiry could not be judged."""


class LowerVersion(Refused):
    """A version below the one the phone has: somebody replays an old manifest."""


class VersionReused(Refused):
    """The same version with another file: versions only rise."""


class AppTooOld(Refused):
    """The release needs a newer app."""


class NoUsableArtifact(Refused):
    """The release has no file of a format and an input that this phone can run."""


class BadEncoding(Refused):
    """The file came compressed in a way that this phone did not ask for or cannot read; it asks for the plain file then."""


class WrongLength(Refused):
    """The file is longer or shorter than the manifest says."""


class WrongDigest(Refused):
    """The file's SHA-256 is not the manifest's."""


class WrongAnswers(Refused):
    """This phone computes with the file something else than its maker did: the canaries' answers differ."""
