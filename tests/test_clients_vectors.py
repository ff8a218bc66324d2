"""The test vectors: they are what their program makes, and the reference phone passes them over HTTP."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from clients import refusals, vectors
from clients.phone import Phone
from clients.signatures import Envelope
from tests import web_client
from tests.answering import Server

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "phone" / "vectors"
PAGE = (ROOT / "docs" / "phone" / "README.md").read_text()
VECTORS = vectors.vectors()
REASONS = {kind.reason for kind in refusals.Refused.__subclasses__()}


def test_the_published_vectors_are_what_their_program_writes(tmp_path):
    assert vectors.write(tmp_path) == len(VECTORS)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert {file.name: file.read_bytes() for file in FOLDER.iterdir()} == written, (
        "python -m clients.vectors docs/phone/vectors"
    )


def test_every_name_is_one_vectors_and_every_reason_has_one():
    names = [vector["name"] for vector in VECTORS]
    assert len(names) == len(set(names))
    assert {vector["expected"].get("reason") for vector in VECTORS} - {None} == REASONS - {"wrong-answers"}  # runs no network


def test_the_page_for_implementers_lists_the_reasons_and_no_others():
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == [kind.reason for kind in refusals.Refused.__subclasses__()]


def serve(server: Server, answers: dict[str, Any]) -> None:
    """What the vector says the server answers; every file has the same content, whatever its address."""
    content = base64.b64decode(answers["file"])
    server.sequence("/.well-known/photorally-keys.json", (200, {}, json.dumps(answers["keys"]).encode()))
    server.sequence("/api/v1/recognizers/coins/manifest", (200, {}, answers["manifest"].encode()))
    for file in (vectors.TODAY, vectors.YESTERDAY):
        server.sequence(f"/blobs/{hashlib.sha256(file).hexdigest()}", (200, {}, content))


def put_in_place(phone: Phone, held: dict[str, Any]) -> None:
    """Have the phone remember what the vector says."""
    if held["root"]:
        trust = {"root_version": held["root"]["version"], "root": held["root"]["key"]}
        trust |= {name: held[name] for name in ("keys_version", "newest_issued_at")}
        phone.keyring.file.write_text(json.dumps({"trust": trust}))
    if held["model"]:
        folder, file = phone.model("coins").folder, base64.b64decode(held["model"]["file"])
        envelope = Envelope.read(held["model"]["manifest"], "photorally-manifest+jwt")
        kept = {"etag": "", "token": envelope.token, "kid": envelope.kid, "payload": envelope.unverified()}
        (folder / "manifest.json").write_text(json.dumps(kept))
        (folder / f"{hashlib.sha256(file).hexdigest()}.tflite").write_bytes(file)


@pytest.fixture(scope="module")
def server():
    started = Server()
    yield started
    started.close()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_reference_phone_passes(vector, server, tmp_path):
    held, expected = vector["phone"], vector["expected"]
    phone = Phone(server.url, folder=tmp_path, sleep=lambda seconds: None, clock=lambda: held["now"], app=held["app"])
    put_in_place(phone, held)
    serve(server, vector["server"])
    before = phone.model("coins").current
    if expected["outcome"] == "refused":
        with pytest.raises(refusals.Refused) as refusal:
            phone.update_model("coins")
        assert refusal.value.reason == expected["reason"]
        assert phone.model("coins").current == before
    else:
        phone.update_model("coins")
        offer = phone.model("coins").current
        assert (offer.version, offer.sha256) == (expected["version"], expected["sha256"])
    if phone.model("coins").current:
        assert hashlib.sha256(phone.model("coins").file().read_bytes()).hexdigest() == phone.model("coins").current.sha256
    assert not list(tmp_path.rglob("*.part"))
    if phone.keyring.file.exists():
        trust = json.loads(phone.keyring.file.read_text())["trust"]
        assert {name: trust[name] for name in expected["trust"]} == expected["trust"]


@web_client.with_node
def test_the_typescript_phone_passes_by_nodes_own_test_runner():
    done = web_client.run_tests(web_client.compiled(), FOLDER)
    assert done.returncode == 0, done.stdout
    assert f"# pass {len(VECTORS) + 1}" in done.stdout


def test_both_clients_have_one_list_of_reasons():
    listed = (ROOT / "clients" / "web" / "src" / "refused.ts").read_text().partition("REASONS = [")[2].partition("]")[0]
    assert re.findall(r'"([a-z-]+)"', listed) == [kind.reason for kind in refusals.Refused.__subclasses__()]
