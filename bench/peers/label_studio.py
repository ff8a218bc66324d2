"""Label Studio from PyPI in an environment of its own; photos come in through its import API, the way files get into it."""

import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench._facts import CACHE, say
from bench._load import Pieces
from bench.peers.base import NotInstalled, System, environment, form, request_head

VERSION = "1.23.2"
HOME = CACHE / "peers" / "label-studio"
STAMP, TEMPLATE = HOME / "stamp", CACHE / "peers" / "label-studio-data"
TOKEN = "bench-0123456789abcdef0123456789abcdef"  # of an account on a loopback port that lives for minutes
CONFIG = '<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="a"/></Choices></View>'
# What costs time and is no part of taking a photo in: telemetry, version checks, crash reports, debugging aids.
QUIET = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "FEATURE_FLAGS_OFFLINE": "true",
    "INACTIVITY_SESSION_TIMEOUT_ENABLED": "0",
    "DEBUG": "false",
    "LOG_LEVEL": "ERROR",
}


class LabelStudio(System):
    name = "Label Studio"
    how = f"label-studio {VERSION} from PyPI, `label-studio start` on SQLite, telemetry and debugging off; its import API"

    def prepare(self) -> None:
        if not (STAMP.exists() and STAMP.read_text() == VERSION):
            self._install()
        if not TEMPLATE.exists():
            self._make_template()

    def _install(self) -> None:
        shutil.rmtree(TEMPLATE, ignore_errors=True)
        say(f"Installing Label Studio {VERSION} from PyPI (about 1 GB, two to five minutes) …")
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(HOME)],
            [str(HOME / "bin" / "pip"), "install", "--quiet", "--quiet", "--no-input", f"label-studio=={VERSION}"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NotInstalled(f"pip failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        STAMP.write_text(VERSION)

    def _make_template(self) -> None:
        """A data folder with all migrations and the account: making one costs minutes, so each run starts from a copy."""
        say("Letting Label Studio make its database (one to three minutes, once) …")
        making = TEMPLATE.with_suffix(".part")
        shutil.rmtree(making, ignore_errors=True)
        self._serve(making)
        self.trees.pop().stop()
        making.rename(TEMPLATE)

    def start(self) -> None:
        shutil.copytree(TEMPLATE, self.folder / "data")
        self._serve(self.folder / "data")
        self.project = self._call("POST", "/api/projects/", {"title": "bench", "label_config": CONFIG})["id"]

    def _serve(self, data: Path) -> None:
        options = f"--data-dir {shlex.quote(str(data))} --no-browser --port {self.port} --internal-host 127.0.0.1"
        account = f"--username bench@example.com --password {TOKEN} --user-token {TOKEN}"
        command = f"exec {shlex.quote(str(HOME / 'bin' / 'label-studio'))} start {options} {account} --enable-legacy-api-token"
        ours = environment(**QUIET, BASE_DATA_DIR=str(data), HOME=str(self.folder))
        self.launch(command, folder=self.folder, environment=ours).await_answer(self.port)

    def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        head = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        asked = Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), head, method=method)
        with urlopen(asked, timeout=60) as answer:
            return json.load(answer)

    def compose(self, photo: Pieces, number: int) -> Pieces:
        kind, pieces, length = form(photo, field="file", name=f"{number}.jpg")
        path = f"/api/projects/{self.project}/import"
        head = request_head("POST", path, self.port, length, Authorization=f"Token {TOKEN}", Content_Type=kind.decode())
        return head, *pieces

    def stored(self) -> int:
        """Tasks whose uploaded file is on disk."""
        media = self.folder / "data" / "media"
        with sqlite3.connect(self.folder / "data" / "label_studio.sqlite3") as rows:
            files = [
                name
                for (name,) in rows.execute(
                    "SELECT u.file FROM data_import_fileupload u JOIN task t ON t.file_upload_id = u.id"
                )
            ]
        return sum((media / name).exists() for name in files)
