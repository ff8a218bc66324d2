"""What the benchmarks stand on: photos that are photos, requests that are requests, and a bad network that is bad."""

import contextlib
import hashlib
import io
import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http.multipartparser import MultiPartParser
from PIL import ExifTags, Image

from bench import __main__ as command
from bench import _load
from bench._facts import claim, percentile
from bench._photos import SMALL, Supply, draw
from bench._proxy import BadNetwork
from bench._senders import jobs
from bench._slow import push
from bench.peers.base import form
from bench.peers.photorally import raised_limits
from collector.strip import strip

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def photos():
    return draw(SMALL, 2, seed=1)


def test_every_variant_decodes_and_is_stored_under_a_digest_of_its_own(photos):
    supply = Supply(photos)
    bodies = [b"".join(supply.take()[1]) for _ in range(40)]
    assert len({hashlib.sha256(strip(body).data).digest() for body in bodies}) == 40
    pixels = set()
    for body in (bodies[0], bodies[2]):  # the same picture, twice varied
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            assert image.size == (640, 480)
            pixels.add(image.tobytes())
            assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert len(pixels) == 2
    assert all(15_000 < len(body) < 30_000 for body in bodies)


def test_the_same_seed_draws_the_same_photos_and_jobs(photos):
    again = draw(SMALL, 2, seed=1)
    assert [photo.variant(7) for photo in again] == [photo.variant(7) for photo in photos]
    assert jobs(50, twins=0.2, giving_up=0.1, seed=3) == jobs(50, twins=0.2, giving_up=0.1, seed=3)


def test_a_form_is_what_django_reads(photos):
    photo = photos[0].variant(1)
    kind, pieces, length = form(photo, field="image", name="1.jpg", label="apple")
    body = b"".join(pieces)
    assert len(body) == length
    meta = {"CONTENT_TYPE": kind.decode(), "CONTENT_LENGTH": str(length)}
    handler = MemoryFileUploadHandler()
    handler.activated = True
    texts, files = MultiPartParser(meta, io.BytesIO(body), [handler]).parse()
    assert texts["label"] == "apple"
    assert files["image"].read() == b"".join(photo)


def test_every_limit_per_time_is_raised_and_no_other_setting():
    named = re.findall(
        r"^# ([A-Z_]+_PER_(?:[A-Z]+_)*(?:SECOND|MINUTE|HOUR|DAY))=", (ROOT / "deploy/example.env").read_text(), re.M
    )
    assert set(raised_limits()) == set(named)
    assert raised_limits()["PHOTOS_PER_DAY"] == "1000000"


def test_a_peer_that_was_not_measured_fails_its_claim_and_says_why():
    def absent() -> float:
        raise KeyError("no network")

    found = claim("photos/s over it", absent, 6.0, at_least=True)
    assert found == {"claim": "photos/s over it", "value": "not measured: no network", "goal": "≥ 6", "holds": False}
    assert claim("x", lambda: 6.0, 6.0, at_least=True)["holds"]
    assert not claim("x", lambda: 0.51, 0.5, at_least=False)["holds"]


def test_percentiles_are_values_that_were_measured():
    assert percentile([5, 1, 4, 2, 3], 0.5) == 3
    assert percentile(range(1, 201), 0.99) == 198
    assert percentile([7.0], 0.99) == 7.0


def test_helpers_are_no_parts():
    assert {"intake", "faults", "slow"} <= set(command.parts())
    assert not {"peers", "_load", "__main__"} & set(command.parts())


def test_an_unknown_part_is_answered_with_those_there_are():
    done = subprocess.run([sys.executable, "-m", "bench", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PART is one of" in done.stderr
    assert "intake" in done.stderr


def test_the_table_has_one_heading_for_rows_of_one_shape():
    rows = [{"a": "x", "n": 1}, {"a": "yyyy", "n": 22}, {"b": 1.5}]
    assert command.table(rows).splitlines() == ["", "a      n", "x      1", "yyyy  22", "", "  b", "1.5"]


class Answering:
    """A server that reads one request per connection and answers it; `bodies` are those that came whole."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.bodies = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            line, _ = self.listener.accept()
            threading.Thread(target=self._one, args=(line,), daemon=True).start()

    def _one(self, line):
        with line, contextlib.suppress(ConnectionError):
            data = b""
            while b"\r\n\r\n" not in data:
                if not (more := line.recv(65536)):
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            while len(body) < length and (more := line.recv(65536)):
                body += more
            if len(body) == length:
                self.bodies.append(body)
                line.sendall(self.answer)


REQUEST = b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"


def once(port: int) -> int | None:
    """The status, or None where no answer came."""
    with _load.connect(port, 5) as line:
        try:
            _load.send(line, (REQUEST[:10], REQUEST[10:]))
            return _load.receive(line)[0]
        except OSError:
            return None


@pytest.mark.parametrize(
    ("drop", "cut", "status", "arrives", "counted"),
    [(0, 0, 201, True, "passed"), (1, 0, None, True, "answers dropped"), (0, 1, None, False, "requests cut")],
)
def test_the_bad_network_passes_drops_and_cuts(drop, cut, status, arrives, counted):
    server = Answering(ANSWER)
    network = BadNetwork(server.port, drop=drop, cut=cut, longest=len(REQUEST) - 1, seed=1)
    try:
        assert [once(network.port) for _ in range(5)] == [status] * 5
    finally:
        counts = network.stop()
    assert server.bodies == [b"hello"] * (5 if arrives else 0)
    assert counts[counted] == 5


def test_senders_count_what_was_acknowledged_and_what_was_not(photos):
    def compose(photo, number):
        return b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % sum(map(len, photo)), *photo

    for answer, taken in ((ANSWER, 6), (ANSWER.replace(b"201 Created", b"429 Too Many"), 0)):
        server = Answering(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        load = _load.run(port=server.port, compose=compose, supply=Supply(photos), connections=2, seconds=30, most=6)
        assert (load.photos, len(load.refused)) == (taken, 6 - taken)
        assert len(set(server.bodies)) == 6


def test_a_refused_body_is_counted_until_the_answer_comes():
    listener = socket.create_server(("127.0.0.1", 0))
    left = threading.Event()

    def refuse():
        line, _ = listener.accept()
        with line:
            line.recv(65536)
            line.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            left.wait(10)

    threading.Thread(target=refuse, daemon=True).start()
    found = push(listener.getsockname()[1], b"POST / HTTP/1.1\r\n\r\n", 2**30)
    left.set()
    assert found.status == 413
    assert 0 <= found.body_bytes < 10**6


def test_peers_are_pinned():
    wanted = json.loads((ROOT / "bench/peers/tus/package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "bench/peers/tus/package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
        assert locked[f"node_modules/{name}"]["integrity"]
