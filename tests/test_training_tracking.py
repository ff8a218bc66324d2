"""MLflow: the calls that its REST API 2.0 documents, against a small HTTP server that records them and answers as MLflow does.

It stands in for MLflow, which would bring a hundred packages. Whatever a server does, it costs a night one sentence.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.stories import account
from training import tracking

FILES = {"metrics.json": b"{}", "confusion.svg": b"<svg/>"}


class StandIn(ThreadingHTTPServer):
    """Records (method, path, JSON or bytes, authorization); `answers` replace its own by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, str, Any, str | None]] = []
        self.known = False
        self.runs: list[str] = []
        self.artifact_uri = "mlflow-artifacts:/7/run1/artifacts"
        self.status = 200
        self.stall_s = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        return [path.removeprefix("/api/2.0/mlflow/") for _, path, _, _ in self.calls]

    def sent(self, what: str) -> list[Any]:
        return [body for _, path, body, _ in self.calls if path.endswith(what)]

    def answer(self, path: str) -> tuple[int, Any]:
        if self.status != 200:
            return self.status, {"error_code": "PERMISSION_DENIED"}
        if path.endswith("get-by-name"):
            return (200, {"experiment": {"experiment_id": "7"}}) if self.known else (404, {})
        answers: dict[str, Any] = {
            "experiments/create": {"experiment_id": "7"},
            "runs/search": {"runs": [{"info": {"run_id": key}} for key in self.runs]},
            "runs/create": {"run": {"info": {"run_id": "run1", "artifact_uri": self.artifact_uri}}},
        }
        return 200, next((body for end, body in answers.items() if path.endswith(end)), {})


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        content = json.loads(body) if self.headers.get("Content-Type") == "application/json" else body
        self.server.calls.append((self.command, path, content, self.headers.get("Authorization")))
        status, answer = self.server.answer(path)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for byte in data:
            self.wfile.write(bytes([byte]))
            time.sleep(self.server.stall_s)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815  the names that http.server looks for

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[StandIn]:
    with StandIn() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running() as made:
        yield made


def track(server: StandIn, limit_s: float = 10, token: str = "") -> str:
    return tracking.track(account(), FILES, server=server.address, token=token, limit_s=limit_s)


def test_a_night_becomes_a_finished_run_with_figures_and_files(server):
    assert track(server, token="t") == "MLflow has the figures as run run1 with its files."
    assert server.paths()[:4] == ["experiments/get-by-name", "experiments/create", "runs/search", "runs/create"]
    assert server.sent("experiments/create") == [{"name": "photorally/coins"}]
    params, metrics = server.sent("log-batch")
    assert {"key": "gate", "value": "passed"} in params["params"]
    losses = [(m["step"], m["value"]) for m in metrics["metrics"] if m["key"] == "train/head_loss"]
    assert losses == [(1, 1.1), (2, 0.7), (3, 0.5)]
    assert server.sent("runs/update")[0]["status"] == "FINISHED"
    assert server.sent("artifacts/7/run1/artifacts/confusion.svg") == [b"<svg/>"]
    assert {authorization for *_, authorization in server.calls} == {"Bearer t"}


def test_another_attempt_replaces_the_first_one(server):
    server.known, server.runs = True, ["old"]
    track(server)
    assert "experiments/create" not in server.paths()
    assert server.sent("runs/search")[0]["filter"] == "tags.`photorally.run` = 'coins 2026-11-22'"
    assert server.sent("runs/delete") == [{"run_id": "old"}]


def test_a_server_that_keeps_files_elsewhere_gets_the_figures(server):
    server.artifact_uri = "s3://bucket/7/run1/artifacts"
    assert track(server).endswith("without its files, which its server keeps elsewhere.")
    assert not [path for method, path, *_ in server.calls if method == "PUT"]


def test_a_server_that_refuses_costs_a_sentence(server):
    server.status = 403
    assert track(server) == "MLflow did not take the figures (it answered 403); they are kept here alone."


def test_a_server_that_sends_a_byte_now_and_then_costs_no_more_than_the_limit(server):
    server.known, server.stall_s = True, 0.15  # each read is answered in time, the whole never
    began = time.monotonic()
    assert "within 0.5 s" in track(server, limit_s=0.5)
    assert time.monotonic() - began < 2


def test_a_redirect_is_not_followed_with_the_token(server):
    server.status = 302
    assert "did not take the figures" in track(server, token="secret")
    assert len(server.calls) == 1
