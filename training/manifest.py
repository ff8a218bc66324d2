"""RELEASE → PHONE: the signed answer to "what should this phone run?", a compact JWS (RFC 7515, Ed25519 of RFC 9864)."""

import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from collector.models import Label
from training import formats
from training.errors import VersionOutOfReach
from training.keys import signing_key
from training.keyset import compact
from training.models import Artifact, Channel, Release
from training.release import KIND

VERSION_MOST = 1_000_000  # no phone takes more, or a slip that says 2^31 would be the last version ever: 2,700 years of nights
TYPE = "photorally-manifest+jwt"  # a token of another purpose, signed by the same key, is no manifest


def sign(row: Channel, release: Release, *, arm: str = "", now: float | None = None) -> str:
    """The manifest that offers `release` on the channel; `arm` as release.arm_of says. Within MANIFEST_PERIOD_S the same offer
    is the same bytes: the time is floored and Ed25519 signs deterministically. `now`: Unix seconds, the present if None. Raises
    VersionOutOfReach.
    """
    if release.version > VERSION_MOST:
        raise VersionOutOfReach(
            f"{release} is beyond {VERSION_MOST}. Give the row a version near those of the releases before it.",
            version=release.version,
        )
    return compact(signing_key(), TYPE, payload(row, release, arm=arm, now=time.time() if now is None else now))


def payload(row: Channel, release: Release, *, arm: str = "", now: float) -> dict[str, Any]:
    """What is signed. Times are Unix seconds; a phone refuses a manifest after `expires_at` or with a lower `version`."""
    issued = int(now) // settings.MANIFEST_PERIOD_S * settings.MANIFEST_PERIOD_S
    artifacts = list(release.artifacts.order_by("format"))
    slugs = artifacts[0].labels if artifacts else []
    names = dict(Label.objects.filter(recognizer=row.recognizer_id).values_list("slug", "name"))
    return {
        "recognizer": row.recognizer.slug,
        "channel": row.name,
        "version": release.version,
        "issued_at": issued,
        "expires_at": issued + settings.MANIFEST_VALID_S,
        "minimum_app": release.minimum_app,
        "rollout": row.rollout,
        "arm": arm,
        "labels": [{"slug": slug, "name": names.get(slug, slug)} for slug in slugs],
        "artifacts": [_described(artifact, artifacts) for artifact in artifacts if artifact.format != Artifact.Format.CANARIES],
    }


def _described(artifact: Artifact, among: Sequence[Artifact]) -> dict[str, Any]:
    """What the manifest says of one file; `among`: the release's artifacts, of which one may be the canaries' pictures."""
    content = {**_blob(artifact), "format": artifact.format, "input": artifact.input_spec}
    if tiers := formats.named(artifact.format).tiers:
        content["tiers"] = list(tiers)
    pictures = next((each for each in among if each.format == Artifact.Format.CANARIES), None)
    if confidence := artifact.answers.get("confidence"):
        content["confidence"] = confidence
    if pictures and (canaries := artifact.answers.get("canaries")):
        content["canaries"] = {**_blob(pictures), **canaries}
    return content


def _blob(artifact: Artifact) -> dict[str, Any]:
    url = f"{settings.SITE_URL}/{KIND}/{artifact.sha256}"
    return {"sha256": artifact.sha256, "bytes": artifact.bytes, "url": url}
