"""The web process over real sockets: slow, broken and huge requests harm nobody else."""

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from collector.models import Photo
from config import web
from tests.drawing import jpeg
from tests.serving import web_process

SLOW = 40  # connections; more than the threads that the web process once had


@pytest.fixture(scope="module")
def address(django_db_setup: None, tmp_path_factory: Any) -> Iterator[tuple[str, int]]:
    """The web process as the Procfile starts it, on this test's database."""
    with web_process(tmp_path_factory.mktemp("web"), WEB_THREADS="64") as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


def put(address: tuple[str, int], token: str, body: bytes) -> requests.Response:
    return requests.put(
        f"http://{address[0]}:{address[1]}/api/v1/photos/{uuid.uuid4()}?recognizer=coins&label=copper",
        data=body,
        headers={"Authorization": f"Token {token}", "Content-Type": "image/jpeg"},
        timeout=20,
    )


def head(token: str, length: int) -> bytes:
    return (
        f"PUT /api/v1/photos/{uuid.uuid4()}?recognizer=coins&label=copper HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Token {token}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", ["headers", "body"])
def test_photos_are_taken_while_many_connections_trickle(address: Any, recognizer: Any, token: str, part: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW):
            slow = stack.enter_context(socket.create_connection(address, timeout=10))
            slow.sendall(head(token, 5000)[:40] if part == "headers" else head(token, 5000) + jpeg()[:100])
        answers = [put(address, token, jpeg(seed)) for seed in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert Photo.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_body_that_breaks_off_leaves_nothing_and_can_be_sent_again(address: Any, recognizer: Any, token: str) -> None:
    with socket.create_connection(address, timeout=10) as broken:
        broken.sendall(head(token, 5000) + jpeg()[:2000])
        broken.shutdown(socket.SHUT_WR)
        answer = broken.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and b"length-mismatch" in answer
    assert Photo.objects.count() == 0
    assert put(address, token, jpeg()).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_gigabyte_of_json_is_refused_without_being_read(address: Any) -> None:
    pushed = 0
    with socket.create_connection(address, timeout=10) as sender:
        sender.sendall(
            b"POST /api/v1/volunteers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n"
        )
        sender.settimeout(0.5)
        answer = b""
        with contextlib.suppress(OSError):  # the server closes: then there is nothing more to push
            while pushed < 64 * 2**20 and not answer:
                pushed += sender.send(b" " * 65536)
                sender.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    answer = sender.recv(65536)
                sender.settimeout(0.5)
        with contextlib.suppress(OSError):
            answer += sender.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
    assert b"body-too-large" in answer and b"Connection: close" in answer and b"100 Continue" not in answer
    assert pushed < 16 * 2**20  # what socket buffers and the lingering close swallow


@pytest.mark.django_db(transaction=True)
def test_an_answer_to_a_body_that_stays_unread_says_that_the_connection_ends_and_others_keep_it(address: Any) -> None:
    with requests.Session() as session:
        url = f"http://{address[0]}:{address[1]}"
        refused = session.post(f"{url}/api/v1/volunteers", data=json.dumps({"consent": False, "x": "y" * 70_000}), timeout=10)
        assert (refused.status_code, refused.headers["Connection"]) == (413, "close")
        stranger = session.put(
            f"{url}/api/v1/photos/{uuid.uuid4()}?recognizer=coins&label=copper", data=b"x" * 70_000, timeout=10
        )
        assert (stranger.status_code, stranger.headers["Connection"]) == (401, "close")
        assert session.post(f"{url}/api/v1/volunteers", json={"consent": False}, timeout=10).status_code == 422
        kept = session.get(f"{url}/healthz", timeout=10)
        assert (kept.json(), kept.headers["Connection"]) == ({"alive": True}, "keep-alive")


@pytest.fixture
def pair(monkeypatch: Any) -> Iterator[tuple[web.PacedSocket, socket.socket]]:
    monkeypatch.setattr(web, "SILENCE_S", 0.2)
    monkeypatch.setattr(web, "GRACE_S", 0.2)
    server, client = socket.socketpair()
    with web.PacedSocket(server) as paced, client:
        paced.setblocking(True)
        yield paced, client


def test_silence_ends_a_connection(pair: Any) -> None:
    with pytest.raises(ConnectionResetError, match="nothing moved"):
        pair[0].recv(10)


def test_a_trickle_ends_when_its_grace_is_used_up(pair: Any) -> None:
    paced, client = pair
    received = b""
    with pytest.raises(ConnectionResetError, match=r"\d+ bytes in"):
        for _ in range(20):  # 0.1 s apart: never silent, and far below the least rate
            client.setblocking(True)
            _later(client, 0.1)
            received += paced.recv(10)
    assert 1 <= len(received) <= 4


def _later(client: socket.socket, seconds: float) -> None:
    import threading

    threading.Timer(seconds, client.send, [b"x"]).start()


def test_time_between_requests_counts_for_nobody(pair: Any) -> None:
    paced, client = pair
    for _ in range(4):
        paced.begin_request()
        _later(client, 0.15)
        assert paced.recv(10) == b"x"


def test_an_answer_longer_than_one_timeout_goes_out_whole(pair: Any) -> None:
    import threading

    paced, client = pair
    answer, read = bytes(4 * 2**20), bytearray()

    def slowly() -> None:
        while len(read) < len(answer):
            read.extend(client.recv(200_000))
            time.sleep(0.02)

    reader = threading.Thread(target=slowly)
    reader.start()
    paced.sendall(answer)
    reader.join()
    assert bytes(read) == answer
