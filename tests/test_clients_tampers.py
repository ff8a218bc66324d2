"""Both phones against the real server with somebody between who changes what it answers: yesterday's model stays each time."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from django.core.management import call_command

from clients.forging import Signer, flipped, rotation
from clients.phone import Phone
from clients.refusals import Refused
from clients.signatures import Envelope
from clients.trust import VERSION_JUMP_MOST
from collector.models import Label, Recognizer
from tests import web_client
from tests.nights import claimed
from training import keys, release
from training.models import Release, Run

SPEC = {"width": 32, "height": 32, "channels": "RGB", "layout": "NHWC", "batch": 1, "dtype": "uint8", "range": [0, 255]}
MANIFEST = "photorally-manifest+jwt"
DAY = 86_400
STRANGER = Signer.named("stranger")
Kind = str  # "manifest", "keys" or "file"

pytestmark = pytest.mark.django_db(transaction=True)


class Between:
    """A proxy in front of the live server. `lies`: what it answers instead, by kind of address."""

    def __init__(self, upstream: str) -> None:
        self.lies: dict[Kind, Callable[[bytes], bytes]] = {}
        between = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kinds = {"manifest": "/manifest?", "keys": "/.well-known/", "file": "/blobs/"}
                kind = next(kind for kind, part in kinds.items() if part in self.path)
                passed = {name: value for name, value in self.headers.items() if name in ("If-None-Match", "Range", "If-Range")}
                if kind in between.lies:
                    passed = {}  # a lie is told whole
                answer = requests.get(f"{upstream}{self.path}", headers=passed, timeout=10)
                lie = between.lies.get(kind)
                content = lie(answer.content) if lie else answer.content
                self.send_response(answer.status_code)
                for name in ("ETag", "Content-Range"):
                    if name in answer.headers and not lie:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def between(live_server, settings, tmp_path) -> Iterator[Between]:
    settings.VAR_DIR = tmp_path / "var"
    settings.SIGNING_KEY_FILE = settings.VAR_DIR / "keys" / "manifest.jwk"
    settings.KEYS_FILE = settings.VAR_DIR / "keys" / "keys.json"
    started = Between(live_server.url)
    settings.SITE_URL = started.url  # manifests name files here
    yield started
    started.close()


def publish(recognizer: Recognizer, data: bytes) -> Release:
    row = release.pointer(recognizer)
    run = claimed(recognizer, f"slot {Run.objects.count()}")
    exported = release.Exported("int8", data, SPEC, ["copper", "silver", "gold"], {})
    return release.publish(run=run, artifacts=[exported], replaces=row.release if row else None, message="For a test.")


class PythonPhone:
    def __init__(self, url: str, folder: Path) -> None:
        self.phone = Phone(url, folder=folder, sleep=lambda seconds: None)

    def update(self) -> tuple[str, int, str]:
        """(why it refused or "", the version it runs, the digest of the file on its disk)."""
        reason = ""
        try:
            self.phone.update_model("coins")
        except Refused as refusal:
            reason = refusal.reason
        model = self.phone.model("coins")
        return reason, model.current.version, hashlib.sha256(model.file().read_bytes()).hexdigest()


class WebPhone:
    def __init__(self, url: str, folder: Path) -> None:
        self.program = web_client.compiled()
        self.folder, self.url = folder / "phone", url

    def update(self) -> tuple[str, int, str]:
        about = {"server": self.url, "recognizer": "coins", "channel": "stable", "device": "d", "app": "1.0"}
        said = web_client.update(self.program, self.folder, **about)
        return said["reason"], said["version"], said["sha256"]


BOTH = [pytest.param(PythonPhone, id="python"), pytest.param(WebPhone, id="typescript", marks=web_client.with_node)]


def tampers(today: str, replayed: str, stamps: str, mine: bytes, other: bytes) -> dict[str, tuple[str, dict[Kind, Any]]]:
    """By name: the reason that a phone must give, and what is answered instead."""
    online = Signer.of(keys.signing_key().as_dict(private=True))
    root = Signer.of(json.loads(keys.embedded_root().read_text()))
    document = json.loads(keys.published())
    honest, now = Envelope.read(today, MANIFEST).unverified(), int(time.time())
    version = honest["version"]
    times = {"issued_at": now - 60, "expires_at": now + 90 * DAY}

    def said(**changes: Any) -> dict[Kind, Any]:
        return {"manifest": online.sign(honest | changes)}

    def listed(token: str, *rotations: Any) -> dict[Kind, Any]:
        return {"keys": json.dumps(document | {"keys": token, "rotations": list(rotations)})}

    stolen = {"manifest": STRANGER.sign(honest)}
    mixed = ".".join([*today.split(".")[:2], replayed.split(".")[2]])
    return {
        "flipped bit in the payload": ("bad-signature", {"manifest": flipped(today, 1)}),
        "flipped bit in the signature": ("bad-signature", {"manifest": flipped(today, 2)}),
        "flipped bit in the file": ("wrong-digest", {"file": bytes([mine[0] ^ 1]) + mine[1:]}),
        "wrong key": ("bad-signature", {"manifest": STRANGER.sign(honest, kid=online.kid)}),
        "unknown key": ("unknown-key", stolen),
        "revoked key": ("revoked-key", stolen | listed(root.key_set(online, version=3, revoked=(STRANGER.kid,), **times))),
        "old version": ("lower-version", said(version=1)),
        "reused version": ("version-reused", said(version=version - 1)),
        "expired": ("expired", said(expires_at=now)),
        "from the future": ("not-yet-valid", said(issued_at=now + 3 * DAY)),
        "huge version": ("version-jump", said(version=2**31)),
        "one version too far": ("version-jump", said(version=version + VERSION_JUMP_MOST)),
        "short file": ("wrong-length", {"file": mine[:-1]}),
        "long file": ("wrong-length", {"file": mine + b"!"}),
        "alg none": ("wrong-algorithm", {"manifest": online.sign(honest, alg="none").rpartition(".")[0] + "."}),
        "alg HS256": ("wrong-algorithm", {"manifest": online.hs256(honest)}),
        "wrong typ": ("wrong-type", {"manifest": online.sign(honest, "JWT")}),
        "swapped artifact": ("wrong-digest", {"file": other}),
        "replay of a withdrawn arm": ("lower-version", {"manifest": replayed}),
        "mixed versions": ("bad-signature", {"manifest": mixed}),
        "mixed file": ("wrong-digest", {"file": other[:50] + mine[50:]}),
        "another recognizer": ("wrong-recognizer", {"manifest": stamps}),
        "another channel": ("wrong-recognizer", said(channel="beta")),
        "newer app": ("app-too-old", said(minimum_app="9.0")),
        "payload no JSON": ("malformed", {"manifest": online.sign(b"hello")}),
        "digest as a path": ("malformed", said(artifacts=[honest["artifacts"][0] | {"sha256": "../keys"}])),
        "a stranger's keys": ("keys-not-vouched", stolen | listed(STRANGER.key_set(STRANGER, version=9, **times))),
        "older keys": ("keys-lower-version", listed(root.key_set(online, version=1, **times))),
        "expired keys": ("keys-expired", listed(root.key_set(online, version=9, issued_at=now - DAY, expires_at=now))),
        "root by the old alone": ("root-not-vouched", listed(document["keys"], rotation(2, STRANGER, root))),
        "root by the new alone": ("root-not-vouched", listed(document["keys"], rotation(2, STRANGER, STRANGER))),
        "keys no JSON": ("malformed", {"keys": "<html>"}),
    }


@pytest.mark.parametrize("kind", BOTH)
def test_every_tamper_is_refused_with_its_reason_and_yesterdays_model_stays(kind, recognizer, between, tmp_path):
    other_one = Recognizer.objects.create(slug="stamps", name="Stamps")
    for position, slug in enumerate(("copper", "silver", "gold")):
        Label.objects.create(recognizer=other_one, slug=slug, name=slug, position=position)
    ask = f"{between.url}/api/v1/recognizers/{{}}/manifest?channel=stable"
    for data in (b"first" * 20, b"a bad arm" * 20):
        publish(recognizer, data)
    replayed = requests.get(ask.format("coins"), timeout=10).text
    release.withdraw(release=Release.objects.get(version=2, recognizer=recognizer))
    call_command("keys", "sign")  # the set's second version
    phone = kind(between.url, tmp_path)
    yesterday = ("", 3, hashlib.sha256(b"first" * 20).hexdigest())
    assert phone.update() == yesterday
    mine, other = b"today's model" * 10, b"other's model" * 10
    publish(recognizer, mine)
    publish(other_one, other)
    today, stamps = (requests.get(ask.format(slug), timeout=10).text for slug in ("coins", "stamps"))
    found, expected = {}, {}
    for name, (reason, lies) in tampers(today, replayed, stamps, mine, other).items():
        said = {place: lie.encode() if isinstance(lie, str) else lie for place, lie in lies.items()}
        between.lies = {place: lambda _, lie=lie: lie for place, lie in said.items()}
        expected[name] = (reason, *yesterday[1:])
        found[name] = phone.update()
        if name == "revoked key":  # set 3 was believed, as it should: the server goes on from there
            call_command("keys", "sign")
            call_command("keys", "sign")
    assert found == expected and len(found) >= 20
    between.lies = {}
    assert phone.update() == ("", 4, hashlib.sha256(mine).hexdigest())  # and no tamper has ended updates


@pytest.mark.parametrize("kind", BOTH)
def test_phones_follow_a_rotation_of_each_key_and_refuse_what_was_revoked(kind, recognizer, between, settings, tmp_path):
    publish(recognizer, b"one")
    phone = kind(between.url, tmp_path)
    assert phone.update()[:2] == ("", 1)
    old, files = keys.signing_key(), {name: tmp_path / f"{name}.jwk" for name in ("online", "root")}
    for name, file in files.items():
        call_command("keys", "make", name, str(file))
        call_command("keys", "rotate", name, str(file))
    publish(recognizer, b"two")
    assert phone.update()[:2] == ("", 2)  # still signed by the old key: its time is not over
    settings.SIGNING_KEY_FILE = files["online"]
    publish(recognizer, b"three")
    assert phone.update()[:2] == ("", 3)
    call_command("keys", "revoke", old.thumbprint(), root=files["root"])
    stolen = Signer.of(old.as_dict(private=True))
    publish(recognizer, b"four")
    between.lies = {"manifest": lambda content: stolen.sign(Envelope.read(content.decode(), MANIFEST).unverified()).encode()}
    assert phone.update()[:2] == ("revoked-key", 3)
    between.lies = {}
    assert phone.update()[:2] == ("", 4)
