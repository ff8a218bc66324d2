"""Manifests: what a phone may trust, and every way in which it may not."""

import base64
import json

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from joserfc import jws
from joserfc.jwk import OKPKey

from tests.nights import released
from training import keys, manifest, release
from training.errors import ManifestRefused, SigningKeyProblem

NOW = 1_795_400_000.0  # Unix seconds, a moment in November 2026


@pytest.fixture
def signed(recognizer) -> str:
    made = released(recognizer, b"model")
    return manifest.sign(release.pointer(recognizer), made, now=NOW)


def unpacked(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def packed(content: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def reason(token: str, *, jwks=None, now: float = NOW, lowest_version: int = 0) -> str:
    with pytest.raises(ManifestRefused) as refusal:
        manifest.verify(token, jwks or keys.public_jwks(), now=now, lowest_version=lowest_version)
    return refusal.value.facts["reason"]


def test_a_manifest_names_everything_a_phone_needs(signed, settings):
    content = manifest.verify(signed, keys.public_jwks(), now=NOW, lowest_version=1)
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
        "kid": keys.public_jwks()["keys"][0]["kid"],
    }


def test_within_a_period_a_manifest_is_the_same_to_the_byte(signed, recognizer, settings):
    row = release.pointer(recognizer)
    assert manifest.sign(row, row.release, now=NOW + 1) == signed
    assert manifest.sign(row, row.release, now=NOW + settings.MANIFEST_PERIOD_S) != signed


def test_a_changed_payload_is_refused(signed):
    header, payload, signature = signed.split(".")
    forged = packed(unpacked(payload) | {"version": 99})
    assert reason(f"{header}.{forged}.{signature}") == "bad-signature"


@pytest.mark.parametrize("position", [0, 20, -2])
def test_a_flipped_bit_in_the_signature_is_refused(signed, position):
    header, payload, signature = signed.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[position] ^= 1
    flipped = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert reason(f"{header}.{payload}.{flipped}") == "bad-signature"


def test_another_key_is_refused_also_under_the_right_name(signed):
    header, payload, _ = signed.split(".")
    stranger = OKPKey.generate_key("Ed25519")
    content = json.dumps(unpacked(payload)).encode()
    named = jws.serialize_compact(unpacked(header), content, stranger, algorithms=["Ed25519"])
    assert reason(named) == "bad-signature"
    honest = jws.serialize_compact(unpacked(header) | {"kid": stranger.thumbprint()}, content, stranger, algorithms=["Ed25519"])
    assert reason(honest) == "unknown-key"
    assert reason(signed, jwks={"keys": []}) == "unknown-key"


@pytest.mark.parametrize("change", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "EdDSA"}, {"typ": "JWT"}])
def test_another_algorithm_or_type_is_refused(signed, change):
    header, payload, signature = signed.split(".")
    assert reason(f"{packed(unpacked(header) | change)}.{payload}.{signature}") == "malformed"


@pytest.mark.parametrize("token", ["", "a.b.c", "no manifest", "é.é.é"])
def test_noise_is_refused(recognizer, token):
    assert reason(token) == "malformed"


def test_an_expired_manifest_is_refused(signed, settings):
    last = NOW // settings.MANIFEST_PERIOD_S * settings.MANIFEST_PERIOD_S + settings.MANIFEST_VALID_S
    assert manifest.verify(signed, keys.public_jwks(), now=last - 1, lowest_version=0)["version"] == 1
    assert reason(signed, now=last) == "expired"


def test_a_lower_version_is_refused(signed):
    assert reason(signed, lowest_version=2) == "lower-version"


def test_only_the_public_half_is_published():
    (key,) = keys.public_jwks()["keys"]
    assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x"]
    assert key["kid"] == OKPKey.import_key({name: key[name] for name in ("crv", "kty", "x")}).thumbprint()


def test_the_embedded_key_is_made_once_and_for_its_owner_only(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.SIGNING_KEY_FILE = tmp_path / "keys" / "manifest.jwk"
    first = keys.public_jwks()
    assert settings.SIGNING_KEY_FILE.stat().st_mode & 0o777 == 0o600
    assert keys.public_jwks() == first


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


def test_the_command_makes_a_key_that_signs_and_overwrites_none(settings, tmp_path, capsys):
    file = tmp_path / "new.jwk"
    call_command("keys", "make", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    settings.SIGNING_KEY_FILE = file
    capsys.readouterr()
    call_command("keys", "show")
    assert json.loads(capsys.readouterr().out) == keys.public_jwks()
    with pytest.raises(CommandError, match="never overwritten"):
        call_command("keys", "make", str(file))
