"""Manifests: what is signed, with which key, and which versions never are. What phones refuse: test_clients_vectors."""

import base64
import json

import pytest
from django.core.checks import run_checks
from joserfc.jwk import OKPKey

from clients import trust
from clients.manifest import TYPE
from tests.nights import released
from training import keys, keyset, manifest, moves, release
from training.errors import SigningKeyProblem, VersionOutOfReach
from training.models import Release

NOW = 1_795_400_000.0  # Unix seconds, a moment in November 2026


@pytest.fixture
def signed(recognizer) -> str:
    made = released(recognizer, b"model")
    return manifest.sign(release.pointer(recognizer), made, now=NOW)


def unpacked(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def packed(content: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_manifest_names_everything_a_phone_needs(signed, settings):
    content = unpacked(signed.split(".")[1])
    (artifact,) = content.pop("artifacts")
    assert content == {
        "recognizer": "coins",
        "channel": "stable",
        "version": 1,
        "issued_at": 1_795_399_200,
        "expires_at": 1_795_399_200 + settings.MANIFEST_VALID_S,
        "minimum_app": "1.0",
        "rollout": 100,
        "arm": "",
        "labels": [{"slug": slug, "name": slug.capitalize()} for slug in ("copper", "silver", "gold")],
    }
    assert (artifact["format"], artifact["bytes"], artifact["input"]) == ("int8", 5, {"width": 32, "height": 32})
    assert artifact["url"] == f"{settings.SITE_URL}/blobs/{artifact['sha256']}"


def test_the_header_says_ed25519_and_which_key(signed):
    assert unpacked(signed.split(".")[0]) == {
        "alg": "Ed25519",
        "typ": "photorally-manifest+jwt",
        "kid": keys.signing_key().thumbprint(),
    }


def test_within_a_period_a_manifest_is_the_same_to_the_byte(signed, recognizer, settings):
    row = release.pointer(recognizer)
    assert manifest.sign(row, row.release, now=NOW + 1) == signed
    assert manifest.sign(row, row.release, now=NOW + settings.MANIFEST_PERIOD_S) != signed


def test_no_version_is_signed_that_phones_would_refuse(signed, recognizer):
    row = release.pointer(recognizer)
    row.release.version = manifest.VERSION_MOST
    assert manifest.sign(row, row.release)
    row.release.version += 1
    with pytest.raises(VersionOutOfReach, match="1000000"):
        manifest.sign(row, row.release)


def test_no_release_follows_a_version_that_somebody_set_out_of_reach(signed, recognizer):
    Release.objects.update(version=1 + moves.VERSION_GAP_MOST)
    assert released(recognizer, b"the last that may").version == 2 + moves.VERSION_GAP_MOST
    Release.objects.filter(version=2 + moves.VERSION_GAP_MOST).update(version=2**31 - 1)
    with pytest.raises(VersionOutOfReach):
        released(recognizer, b"beyond")


def test_server_and_phone_hold_the_same_bounds():
    assert (manifest.VERSION_MOST, moves.VERSION_GAP_MOST) == (trust.VERSION_MOST, trust.VERSION_JUMP_MOST)
    assert (manifest.TYPE, keyset.KEYS_TYPE, keyset.ROOT_TYPE) == (TYPE, trust.KEYS_TYPE, trust.ROOT_TYPE)


def test_the_embedded_key_is_made_once_and_for_its_owner_only(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.SIGNING_KEY_FILE = tmp_path / "keys" / "manifest.jwk"
    first = keys.signing_key().thumbprint()
    assert settings.SIGNING_KEY_FILE.stat().st_mode & 0o777 == 0o600
    assert keys.signing_key().thumbprint() == first


def test_a_key_elsewhere_is_never_made_and_its_absence_is_said(settings, tmp_path):
    settings.SIGNING_KEY_FILE = tmp_path / "absent.jwk"
    with pytest.raises(SigningKeyProblem, match=r"absent\.jwk"):
        keys.signing_key()
    assert not settings.SIGNING_KEY_FILE.exists()
    (problem,) = [check for check in run_checks() if check.id == "photorally.E151"]
    assert "manage.py keys make" in problem.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        '{"kty": "OKP", "crv": "Ed25519", "x": "AA"}',
        json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=False)),
        json.dumps(OKPKey.generate_key("X25519").as_dict(private=True)),
    ],
    ids=["nothing", "no JSON", "a list", "half a key", "a public key", "a key of another curve"],  # keys are random
)
def test_a_file_that_is_no_private_ed25519_key_is_refused(settings, tmp_path, content):
    settings.SIGNING_KEY_FILE = tmp_path / "bad.jwk"
    settings.SIGNING_KEY_FILE.write_text(content)
    with pytest.raises(SigningKeyProblem, match=r"bad\.jwk"):
        keys.signing_key()
