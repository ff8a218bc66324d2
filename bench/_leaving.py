"""INBOX, measured: leaving by one click while an edition goes out, and a scanner that follows every such link before.

The web server of deploy/Procfile answers over sockets, PostgreSQL writes each commit to disk, a worker sends meanwhile. Each
request comes on a connection of its own and without cookies, as mail programs send them (RFC 8058).
"""

import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench._facts import ROOT, claim, percentile, say, whole
from bench._mails import command, environment, lines, mailer, sink
from bench.peers.photorally import Photorally

GOAL_S = 1.0
LINKS = """
from newsletter import links
from newsletter.models import Subscriber
keys = Subscriber.objects.order_by("pk").values_list("pk", flat=True)[:{count}]
print(json.dumps([links.leave(key) for key in keys]))
"""
STATES = """
from django.db.models import Count
from newsletter.models import Subscriber
print(json.dumps(dict(Subscriber.objects.order_by().values_list("state").annotate(Count("pk")))))
"""
# Who left got no mail any more: of their rows none was begun afterwards.
LATE = """
from django.db.models import F
from newsletter.models import Delivery
rows = Delivery.objects.filter(subscriber__state="left")
late = rows.filter(claimed_at__gt=F("subscriber__left_at")).count()
spared, left_over = rows.filter(state="suppressed").count(), rows.filter(state="queued").count()
print(json.dumps({"late": late, "spared": spared, "queued": left_over}))
"""


def measure() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows, claims)."""
    from tests.real_servers import postgresql

    readers, leavers = whole("BENCH_MAILS", 4000, 400), whole("BENCH_LEAVERS", 200, 20)
    with tempfile.TemporaryDirectory(prefix="photorally-leaving-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must pass through it
        with postgresql(folder / "postgresql", durable=True) as url, sink(folder / "leaving") as (port, log):
            mailer("prepare", readers, folder / "message.json", port, url)
            server = Photorally(folder / "server", url)
            try:
                server.start_web()
                sending = command("deliver", readers, folder / "message.json")
                row = _left(server, sending, environment(port, url), log, leavers)
            finally:
                server.stop()
    say(f"{row}")
    return [row], [
        claim("subscriptions that a scanner's GET and HEAD changed", lambda: row["scanned away"], 0, at_least=False),
        claim(
            "one-click leaving while an edition goes out, seconds at most", lambda: row["leave max s"], GOAL_S, at_least=False
        ),
        claim("mails that were begun after their reader had left", lambda: row["late"], 0, at_least=False),
    ]


def _left(server: Photorally, sending: list[str], environment: dict[str, str], log: Path, leavers: int) -> dict[str, Any]:
    links = server.inside(LINKS.format(count=leavers))
    before = server.inside(STATES)
    seen = [_asked(link, method)[0] for link in links for method in ("GET", "HEAD")]
    assert set(seen) == {200}, seen
    scanned = leavers - (leavers if server.inside(STATES) == before else 0)
    worker = subprocess.Popen(sending, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    while not lines(log):
        assert worker.poll() is None, "the worker ended before its first mail"
        time.sleep(0.01)
    answers = [_asked(link, "POST") for link in links]
    still_sending = worker.poll() is None
    told = json.loads(worker.communicate()[0].splitlines()[-1])
    assert {status for status, _ in answers} == {200} and still_sending, "the edition was sent before everybody had left"
    took = [seconds for _, seconds in answers]
    return {
        "leavers": leavers,
        "scanned away": scanned,
        "leave p50 s": round(percentile(took, 0.5), 4),
        "leave p95 s": round(percentile(took, 0.95), 4),
        "leave max s": round(max(took), 4),
        "mails meanwhile": told["mails"],
        **server.inside(LATE),
    }


def _asked(link: str, method: str) -> tuple[int, float]:
    """Status of the answer, and the seconds from before the connection until its last byte."""
    parts = urlsplit(link)
    assert parts.hostname is not None
    body = "List-Unsubscribe=One-Click" if method == "POST" else None
    began = time.perf_counter()
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        line.request(method, parts.path, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        answer = line.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - began
    finally:
        line.close()
