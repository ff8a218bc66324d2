"""The test vectors in docs/phone/vectors: what a phone holds, what a server answers, and what the phone must make of it.

`python -m clients.vectors docs/phone/vectors` writes them. Keys and times are fixed: so are all bytes.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clients.forging import Signer, encoded, flipped, packed, rotation
from clients.trust import CLOCK_SLACK_S, VERSION_JUMP_MOST, VERSION_MOST

NOW = 1_800_000_000  # Unix seconds, a moment in January 2027
DAY = 86_400
ROOT, ROOT_2, ROOT_3 = (Signer.named(f"photorally vector root {n}") for n in (1, 2, 3))
ONLINE, NEXT, STOLEN, STRANGER = (Signer.named(f"photorally vector {n}") for n in ("online", "next", "stolen", "stranger"))
SET: dict[str, Any] = {"version": 2, "issued_at": NOW - 30 * DAY, "expires_at": NOW + 150 * DAY, "revoked": (STOLEN.kid,)}
LABELS = [{"slug": "copper", "name": "Copper"}, {"slug": "gold", "name": "Gold"}]


def model(name: str, size: int = 96) -> bytes:
    """Stands in for a model's file."""
    return (hashlib.sha256(name.encode()).digest() * size)[:size]


YESTERDAY, TODAY, OTHER = model("yesterday"), model("today"), model("another recognizer")


def manifest(version: int = 4, file: bytes = TODAY, artifact: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A payload; None leaves a field out."""
    digest = hashlib.sha256(file).hexdigest()
    spec = {"width": 32, "height": 32, "channels": "RGB", "layout": "NHWC", "batch": 1, "dtype": "uint8", "range": [0, 255]}
    entry = {"format": "int8", "sha256": digest, "bytes": len(file), "url": f"/blobs/{digest}", "input": spec} | (
        artifact or {}
    )
    content = {
        "recognizer": "coins",
        "channel": "stable",
        "version": version,
        "issued_at": NOW - 60,
        "expires_at": NOW + 7 * DAY,
        "minimum_app": "1.0",
        "rollout": 100,
        "labels": LABELS,
        "artifacts": [entry],
    } | changes
    return {name: value for name, value in content.items() if value is not None}


def keys(token: str | None = None, *rotations: Any, root: Signer = ROOT, **changes: Any) -> dict[str, Any]:
    """What the server publishes as its keys."""
    said = token or root.key_set(ONLINE, NEXT, **{**SET, **changes})
    return {"root": {"version": 1, "key": ROOT.jwk}, "rotations": list(rotations), "keys": said}


def phone(version: int | None = 3, *, signer: Signer = ONLINE, **changes: Any) -> dict[str, Any]:
    """A phone that has had yesterday's model under this version, or none."""
    issued = NOW - DAY
    held = signer.sign(manifest(version or 0, YESTERDAY, issued_at=issued, expires_at=NOW + 6 * DAY))
    return {
        "recognizer": "coins",
        "channel": "stable",
        "app": "1.0",
        "now": NOW,
        "root": {"version": 1, "key": ROOT.jwk},
        "keys_version": 2,
        "newest_issued_at": issued,
        "model": {"manifest": held, "file": base64.b64encode(YESTERDAY).decode()} if version else None,
    } | changes


def case(
    name: str,
    why: str,
    *,
    refused: str = "",
    accepted: tuple[int, bytes] | None = None,
    token: str | None = None,
    document: Any = None,
    file: bytes = TODAY,
    held: dict[str, Any] | None = None,
    trust: dict[str, int] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One vector. `refused`: the reason; `accepted`: version and file; `trust`: what of it is other than before."""
    held = held or phone()
    remembered = {
        "root_version": held["root"]["version"] if held["root"] else 1,
        "keys_version": held["keys_version"],
        "newest_issued_at": held["newest_issued_at"] if refused else NOW - 60,
    } | (trust or {})
    expected: dict[str, Any] = {"outcome": "refused", "reason": refused} if refused else {"outcome": "accepted"}
    if accepted:
        expected |= {"version": accepted[0], "sha256": hashlib.sha256(accepted[1]).hexdigest()}
    return {
        "name": name,
        "why": why,
        "phone": held,
        "server": {
            "keys": document if document is not None else keys(),
            "manifest": token if token is not None else ONLINE.sign(manifest(**changes)),
            "file": base64.b64encode(file).decode(),
        },
        "expected": expected | {"trust": remembered},
    }


def accepted() -> Iterator[dict[str, Any]]:
    """What an honest server does."""
    most = 3 + VERSION_JUMP_MOST
    new = (4, TODAY)
    to_2, to_3 = rotation(2, ROOT_2, ROOT, ROOT_2), rotation(3, ROOT_3, ROOT_2, ROOT_3)
    on_2 = keys(None, to_2, root=ROOT_2, version=3)
    on_3 = keys(None, to_2, to_3, root=ROOT_3, version=4)
    v2, v3 = {"root_version": 2, "keys_version": 3}, {"root_version": 3, "keys_version": 4}
    late = phone(now=NOW - CLOCK_SLACK_S + 1, newest_issued_at=0)
    yield case("first-model", "A phone that has no model yet.", accepted=new, held=phone(None))
    yield case("newer-version", "The next release.", accepted=new)
    yield case("same-again", "What the phone has, signed anew.", accepted=(3, YESTERDAY),
               token=ONLINE.sign(manifest(3, YESTERDAY)), file=YESTERDAY)  # fmt: skip
    yield case("rolled-back", "A higher version names the old file.", accepted=(4, YESTERDAY),
               token=ONLINE.sign(manifest(4, YESTERDAY)), file=YESTERDAY)  # fmt: skip
    yield case("largest-jump", "As far above as is allowed.", accepted=(most, TODAY), version=most)
    yield case("next-key", "Signed by the set's other key.", accepted=new, token=NEXT.sign(manifest()))
    yield case("newer-key-set", "The root has signed a newer set.", accepted=new, document=keys(version=3),
               trust={"keys_version": 3})  # fmt: skip
    yield case("root-rotated", "Both roots vouch for the new one; it signs the set.", accepted=new, document=on_2, trust=v2)
    yield case("root-rotated-twice", "The phone follows the chain.", accepted=new, document=on_3, trust=v3)
    yield case("root-followed-before", "Rotations made before are passed over.", accepted=new, document=on_3, trust=v3,
               held=phone(root={"version": 2, "key": ROOT_2.jwk}))  # fmt: skip
    yield case("root-pinned-at-first-use", "No root ships with this app: it takes the one it is shown.", accepted=new,
               held=phone(None, root=None, keys_version=0, newest_issued_at=0), trust={"keys_version": 2})  # fmt: skip
    yield case("recovered-from-a-stolen-key", "A version for which only a revoked key vouched binds nobody.", accepted=new,
               held=phone(9000, signer=STOLEN))  # fmt: skip
    yield case("last-second", "One second before it expires.", accepted=new, expires_at=NOW + 1)
    yield case("slow-clock", "The phone's clock is a little less than a day slow.", accepted=new, held=late)


def manifests() -> Iterator[dict[str, Any]]:
    """Tampers with the manifest."""
    good, lowest = ONLINE.sign(manifest()), ONLINE.sign(manifest(3, YESTERDAY, issued_at=NOW - DAY))
    mixed = ".".join([*good.split(".")[:2], lowest.split(".")[2]])
    jump, most = 3 + VERSION_JUMP_MOST + 1, VERSION_MOST + 1
    back = phone(now=NOW - 10 * DAY)
    yield case("payload-flipped-bit", "A bit of the payload.", refused="bad-signature", token=flipped(good, 1))
    yield case("signature-flipped-bit", "A bit of the signature.", refused="bad-signature", token=flipped(good, 2))
    yield case("signature-missing", "An empty signature.", refused="bad-signature", token=good.rpartition(".")[0] + ".")
    yield case("mixed-signature", "Today's content under yesterday's signature.", refused="bad-signature", token=mixed)
    yield case("wrong-key", "A stranger under the online key's name.", refused="bad-signature",
               token=STRANGER.sign(manifest(), kid=ONLINE.kid))  # fmt: skip
    yield case("root-as-signer", "The root signs keys, no manifests.", refused="unknown-key", token=ROOT.sign(manifest()))
    yield case("unknown-key", "A stranger under its own name.", refused="unknown-key", token=STRANGER.sign(manifest()))
    yield case("key-in-the-header", "The token brings the key to check it with.", refused="unknown-key",
               token=STRANGER.sign(manifest(), jwk=STRANGER.jwk))  # fmt: skip
    yield case("revoked-key", "The root has revoked this key.", refused="revoked-key", token=STOLEN.sign(manifest()))
    yield case("revoked-key-still-listed", "Revoked counts more than listed.", refused="revoked-key", document=keys(
               ROOT.key_set(ONLINE, STOLEN, **SET)), token=STOLEN.sign(manifest()))  # fmt: skip
    yield case("expired-key", "The online key's time is over.", refused="expired-key", document=keys(not_after=NOW))
    yield case("alg-none", "Unsigned, and says so.", refused="wrong-algorithm",
               token=ONLINE.sign(manifest(), alg="none").rpartition(".")[0] + ".")  # fmt: skip
    yield case("alg-hs256", "The public key as a shared secret.", refused="wrong-algorithm", token=ONLINE.hs256(manifest()))
    yield case("alg-eddsa", "The older name of the algorithm.", refused="wrong-algorithm",
               token=ONLINE.sign(manifest(), alg="EdDSA"))  # fmt: skip
    yield case("typ-jwt", "A token of another purpose.", refused="wrong-type", token=ONLINE.sign(manifest(), "JWT"))
    yield case("typ-key-set", "The key set in place of a manifest.", refused="wrong-type", token=keys()["keys"])
    yield case("critical-header", "A header that must be understood and is not.", refused="malformed",
               token=ONLINE.sign(manifest(), crit=["b64"], b64=False))  # fmt: skip
    yield case("no-token", "A page in place of a manifest.", refused="malformed",
               token="<html>Welcome to the hotel</html>")  # noqa: S106  # fmt: skip
    yield case("empty-answer", "Nothing at all.", refused="malformed", token="")
    yield case("payload-no-json", "Signed, and no JSON.", refused="malformed", token=ONLINE.sign(b"hello"))
    yield case("payload-no-object", "Signed, and a list.", refused="malformed", token=ONLINE.sign([manifest()]))
    yield case("missing-field", "No expiry.", refused="malformed", expires_at=None)
    yield case("version-as-text", "A number in quotes.", refused="malformed", token=ONLINE.sign(manifest() | {"version": "4"}))
    yield case("digest-as-path", "A digest that would become a path.", refused="malformed",
               artifact={"sha256": "../../account"})  # fmt: skip
    yield case("endless-file", "A length beyond all measure.", refused="malformed", artifact={"bytes": 10**12})
    yield case("other-recognizer", "Another recognizer's manifest.", refused="wrong-recognizer", recognizer="stamps")
    yield case("other-channel", "Another channel's manifest.", refused="wrong-recognizer", channel="beta")
    yield case("expired-manifest", "In the second in which it expires.", refused="expired", expires_at=NOW)
    yield case("clock-set-back", "Expired by the newest document seen, though not by the phone's clock.", refused="expired",
               held=back, issued_at=NOW - 9 * DAY, expires_at=NOW - 2 * DAY)  # fmt: skip
    yield case("from-the-future", "Issued more than a day ahead.", refused="not-yet-valid", issued_at=NOW + CLOCK_SLACK_S + 1)
    yield case("lower-version", "Last week's manifest.", refused="lower-version", version=2)
    yield case("withdrawn-arm", "A withdrawn arm after its roll-back to a higher version.", refused="lower-version",
               held=phone(6), version=5)  # fmt: skip
    yield case("huge-version", "2^31.", refused="version-jump", version=2**31)
    yield case("jump-by-one-too-much", "One above the bound.", refused="version-jump", version=jump)
    yield case("huge-first-version", "A new phone has a bound too.", refused="version-jump", held=phone(None), version=most)
    yield case("version-reused", "The phone's own version with another file.", refused="version-reused", version=3)
    yield case("app-too-old", "For newer apps.", refused="app-too-old", minimum_app="1.0.1")
    yield case("no-usable-artifact", "Only a format that this phone cannot run.", refused="no-usable-artifact",
               artifact={"format": "coreml"})  # fmt: skip


def key_sets() -> Iterator[dict[str, Any]]:
    """Tampers with the keys."""
    good = keys()["keys"]
    claims = rotation(2, ROOT_2, ROOT, ROOT_2)
    strange = rotation(2, STRANGER, STRANGER)
    torn = claims | {"payload": encoded(packed({"version": 2, "root": STRANGER.jwk}))}
    future = keys(issued_at=NOW + CLOCK_SLACK_S + 1)
    yield case("keys-flipped-bit", "A bit of the set.", refused="keys-not-vouched", document=keys(flipped(good, 1)))
    yield case("keys-of-a-stranger", "A set by a stranger, with the stranger's key.", refused="keys-not-vouched",
               document=keys(STRANGER.key_set(STRANGER, **SET)), token=STRANGER.sign(manifest()))  # fmt: skip
    yield case("keys-of-an-online-key", "An online key cannot appoint others.", refused="keys-not-vouched",
               document=keys(ONLINE.key_set(STRANGER, **SET, kid=ROOT.kid)), token=STRANGER.sign(manifest()))  # fmt: skip
    yield case("keys-typ-manifest", "A manifest in place of the set.", refused="wrong-type",
               document=keys(ONLINE.sign(manifest())))  # fmt: skip
    yield case("keys-alg-none", "An unsigned set.", refused="wrong-algorithm",
               document=keys(ROOT.key_set(STRANGER, **SET, alg="none").rpartition(".")[0] + "."))  # fmt: skip
    yield case("keys-expired", "In the second in which the set expires.", refused="keys-expired", document=keys(expires_at=NOW))
    yield case("keys-from-the-future", "Issued more than a day ahead.", refused="not-yet-valid", document=future)
    yield case("keys-rolled-back", "The set before the revocation.", refused="keys-lower-version",
               document=keys(ROOT.key_set(ONLINE, STOLEN, **{**SET, "version": 1, "revoked": ()})),
               token=STOLEN.sign(manifest()))  # fmt: skip
    yield case("keys-huge-version", "2^31.", refused="version-jump", document=keys(version=2**31))
    yield case("keys-no-json-object", "A list in place of the keys.", refused="malformed", document=[good])
    yield case("keys-missing", "No set among the keys.", refused="malformed", document={"rotations": []})
    yield case("root-by-the-old-alone", "The new root has not signed.", refused="root-not-vouched",
               document=keys(None, rotation(2, ROOT_2, ROOT), root=ROOT_2))  # fmt: skip
    yield case("root-by-the-new-alone", "The old root has not signed.", refused="root-not-vouched",
               document=keys(None, rotation(2, ROOT_2, ROOT_2), root=ROOT_2))  # fmt: skip
    yield case("root-of-a-stranger", "A stranger vouches for itself.", refused="root-not-vouched",
               document=keys(STRANGER.key_set(STRANGER, **SET), strange), token=STRANGER.sign(manifest()))  # fmt: skip
    yield case("root-exchanged", "Both signatures, over another root.", refused="root-not-vouched",
               document=keys(STRANGER.key_set(STRANGER, **SET), torn), token=STRANGER.sign(manifest()))  # fmt: skip
    yield case("root-skipped", "From root 1 to root 3.", refused="root-not-vouched",
               document=keys(None, rotation(3, ROOT_3, ROOT, ROOT_3), root=ROOT_3))  # fmt: skip
    yield case("root-not-rotated", "The new root's set without the file that leads to it.", refused="keys-not-vouched",
               document=keys(root=ROOT_2))  # fmt: skip
    yield case("root-gone-back", "The old root's set, after the phone has followed the new.", refused="keys-not-vouched",
               held=phone(root={"version": 2, "key": ROOT_2.jwk}))  # fmt: skip
    yield case("revoked-now", "The newer set revokes the manifest's key, and is remembered.", refused="revoked-key",
               document=keys(version=3, revoked=(ONLINE.kid,)), trust={"keys_version": 3})  # fmt: skip


def files() -> Iterator[dict[str, Any]]:
    """Tampers with the file."""
    flip = bytearray(TODAY)
    flip[40] ^= 1
    yield case("file-flipped-bit", "A bit of the file.", refused="wrong-digest", file=bytes(flip))
    yield case("file-swapped", "Another recognizer's file of the same length.", refused="wrong-digest", file=OTHER)
    yield case("file-of-yesterday", "The release before's file.", refused="wrong-digest", file=YESTERDAY)
    yield case("file-mixed", "Half of yesterday's, half of today's.", refused="wrong-digest", file=YESTERDAY[:48] + TODAY[48:])
    yield case("file-short", "The last byte is missing.", refused="wrong-length", file=TODAY[:-1])
    yield case("file-long", "A byte too many.", refused="wrong-length", file=TODAY + b"!")
    yield case("file-empty", "Nothing.", refused="wrong-length", file=b"")


def vectors() -> list[dict[str, Any]]:
    """All of them. A refused one leaves the phone with the model it had: the version and file of `phone.model`."""
    return [*accepted(), *manifests(), *key_sets(), *files()]


def write(folder: Path) -> int:
    """Replace the vectors in `folder`; returns their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for vector in vectors():
        (folder / f"{vector['name']}.json").write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n")
    return len(vectors())


if __name__ == "__main__":
    print(f"Wrote {write(Path(sys.argv[1]))} vectors.")
