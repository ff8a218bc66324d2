"""DKIM: what leaves over SMTP is verified by a verifier that is not ours, and what is changed on its way is not."""

import base64
from collections.abc import Callable

import dkim as verifier
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from newsletter import dkim
from newsletter.delivery import deliver
from newsletter.edition import compose, freeze
from newsletter.models import Subscriber

KEYS: dict[str, Callable[[], dkim.Key]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def published(key: dkim.Key) -> bytes:
    """The record that <selector>._domainkey.<domain> would have in DNS."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        kind, data = "ed25519", key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        kind, data = "rsa", key.public_key().public_bytes(serialization.Encoding.DER, form)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(data).decode()}".encode()


def written(key: object, path) -> str:
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return str(path)


def holds(data: bytes, record: bytes) -> bool:
    return verifier.verify(
        data, dnsfunc=lambda name, timeout=5: record if name == b"news._domainkey.photorally.example." else None
    )


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KEYS)
def test_a_mail_that_leaves_is_verified_and_a_changed_one_is_not(kind, settings, tmp_path, live_photo, recognizer, sink):
    key = KEYS[kind]()
    settings.DKIM_KEY_FILE, settings.DKIM_SELECTOR = written(key, tmp_path / "key.pem"), "news"
    settings.DKIM_DOMAIN = "photorally.example"
    live_photo()
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    edition.title = "Grüße 🪙 " + "a long title " * 6  # folded and encoded in its header
    edition.save()
    freeze(edition=edition)
    assert deliver(edition_id=edition.pk) == 1
    (data,), record = sink.raw, published(key)
    assert data.startswith(b"DKIM-Signature: ") and holds(data, record)
    signed = data.split(b" h=", 1)[1].split(b";", 1)[0].split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"message-id"} <= set(signed)  # RFC 8058 asks for the first two
    for part, other in (
        (b"newsletter/leave/", b"newsletter/heave/"),
        (b"List-Unsubscribe-Post: List", b"List-Unsubscribe-Post: Lost"),
        (b"\r\nTo: ", b"\r\nFrom: evil@example.net\r\nTo: "),
        (b"reader@example.org", b"others@example.org"),
    ):
        assert part in data and not holds(data.replace(part, other, 1), record), part
    body = data.index(b"\r\n\r\n") + 200
    assert not holds(data[:body] + bytes([data[body] ^ 1]) + data[body + 1 :], record)
    assert not holds(data, published(KEYS[kind]()))


@pytest.mark.parametrize("body", [b"", b"\r\n", b"x\r\n\r\n\r\n", b"a  b \r\n\tc\r\n", b".\r\n..\r\n"])
@pytest.mark.parametrize("kind", KEYS)
def test_bodies_at_the_edges_of_canonicalization_are_verified(kind, body):
    key = KEYS[kind]()
    data = b"From: a@photorally.example\r\nTo: b@example.org\r\nSubject: one\r\n\ttwo   three \r\n\r\n" + body
    header = dkim.Signer("photorally.example", "news", key).header(data)
    assert holds(header + data, published(key))


def test_without_a_key_nothing_is_signed(settings):
    settings.DKIM_KEY_FILE = ""
    assert dkim.signer() is None


def test_what_cannot_sign_is_said_at_once(settings, tmp_path):
    settings.DKIM_SELECTOR, settings.DKIM_DOMAIN = "news", "photorally.example"
    (tmp_path / "text").write_text("no key")
    files = [str(tmp_path / "text"), str(tmp_path / "missing")]
    files.append(written(ec.generate_private_key(ec.SECP256R1()), tmp_path / "ec.pem"))
    for file in files:
        settings.DKIM_KEY_FILE = file
        with pytest.raises(ImproperlyConfigured, match="DKIM_KEY_FILE"):
            dkim.signer()
    settings.DKIM_KEY_FILE, settings.DKIM_SELECTOR = written(KEYS["ed25519"](), tmp_path / "key.pem"), ""
    with pytest.raises(ImproperlyConfigured, match="DKIM_SELECTOR"):
        dkim.signer()
