"""This API on the embedded default: SQLite and local disk; authentication, limits, idempotency, hash and strip are all on."""

import ast
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from honcho.environ import parse_procfile

from bench._facts import ROOT
from bench._load import Pieces
from bench.peers.base import System, environment, request_head

RECOGNIZER, LABELS = "groceries", ["apple", "bread", "milk"]
SETTLE_LIMIT_S = 600  # seconds the worker may take for what was uploaded in one cell
LIMIT = re.compile(r"_PER_([A-Z]+_)*(SECOND|MINUTE|HOUR|DAY)$")  # settings that limit how often somebody may do something


def raised_limits() -> dict[str, str]:
    """Every limit per time set to the most that its setting takes: counted on every upload, and reached by none."""
    limits = {}
    for node in ast.walk(ast.parse((ROOT / "config" / "settings.py").read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "env.whole"):
            continue
        name = ast.literal_eval(node.args[0])
        if LIMIT.search(name):
            most = next(word.value for word in node.keywords if word.arg == "most")
            # `10**6` is no literal for ast; nothing but numbers and operators is let in.
            limits[name] = str(eval(compile(ast.Expression(most), "settings", "eval"), {"__builtins__": {}}))
    return limits


class Photorally(System):
    name = "photorally"
    how = "the web line of deploy/Procfile.embedded, SQLite and local disk; the worker does not run"
    with_worker = False

    def __init__(self, folder: Path, database_url: str = "") -> None:
        super().__init__(folder)
        site = f"http://127.0.0.1:{self.port}"
        self.environment = environment(
            VAR_DIR=str(folder),
            HOST="127.0.0.1",
            PORT=str(self.port),
            SITE_URL=site,
            BACKBONE_WEIGHTS="none",
            **raised_limits(),
        )
        if database_url:
            self.environment["DATABASE_URL"] = database_url
        self.procfile = parse_procfile((ROOT / "deploy" / "Procfile.embedded").read_text()).processes

    def inside(self, code: str) -> Any:
        """Run `code` in a Django process of this installation; returns the JSON it printed as its last line."""
        code = f"import django, json\ndjango.setup()\n{code}"
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=self.environment | settings, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return json.loads((done.stdout.strip().splitlines() or ["null"])[-1])

    def start(self) -> None:
        self.inside(
            "from django.core.management import call_command\n"
            "call_command('migrate', verbosity=0)\n"
            "from collector.importing import prepare_recognizer\n"
            f"prepare_recognizer(slug={RECOGNIZER!r}, names={LABELS!r})\n"
        )
        self.start_web()
        self.token = self.register()
        if self.with_worker:
            self.worker = self.launch(self.procfile["work"], folder=ROOT, environment=self.environment, log="work.log")

    def start_web(self) -> None:
        """Start the web process, also after `kill_web`."""
        self.web = self.launch(self.procfile["web"], folder=ROOT, environment=self.environment, log="web.log")
        self.web.await_answer(self.port)

    def kill_web(self) -> None:
        """SIGKILL to the whole process group of the web process."""
        self.web.kill()
        self.trees.remove(self.web)

    def register(self) -> str:
        """Join over the API; returns the token."""
        head = {"Content-Type": "application/json"}
        asked = Request(f"http://127.0.0.1:{self.port}/api/v1/volunteers", b'{"consent": true}', head, method="POST")
        with urlopen(asked, timeout=30) as answer:
            return str(json.load(answer)["token"])

    def compose(self, photo: Pieces, number: int, photo_id: uuid.UUID | None = None, label: str = "") -> Pieces:
        path = (
            f"/api/v1/photos/{photo_id or uuid.uuid4()}?recognizer={RECOGNIZER}&label={label or LABELS[number % len(LABELS)]}"
        )
        length = sum(map(len, photo))
        head = request_head("PUT", path, self.port, length, Authorization=f"Token {self.token}", Content_Type="image/jpeg")
        return head, *photo

    def stored(self) -> int:
        """Rows whose original is on disk with the digest that the row names."""
        return int(
            self.inside(
                "import hashlib\n"
                "from collector.models import Photo\n"
                "from collector.storage import store\n"
                "print(sum(hashlib.sha256(store().get(f'originals/{digest}')).hexdigest() == digest\n"
                "          for digest in Photo.objects.values_list('sha256', flat=True).iterator()))\n"
            )
        )


class PhotorallyWithWorker(Photorally):
    name = "photorally, image work"
    how = "the same with its worker; a cell's CPU and memory are those of both, until every photo is decoded"
    with_worker = True

    def settle(self) -> None:
        deadline = time.monotonic() + SETTLE_LIMIT_S
        with sqlite3.connect(f"file:{self.folder}/photorally.sqlite3?mode=ro", uri=True) as rows:
            while rows.execute("SELECT 1 FROM collector_photo WHERE state = 'received' LIMIT 1").fetchone():
                if time.monotonic() > deadline:
                    raise RuntimeError("The worker did not get done.")
                time.sleep(0.1)

    def rest(self) -> None:
        self.worker.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.worker.signal(signal.SIGCONT)
