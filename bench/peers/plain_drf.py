"""The plain endpoint: Django REST framework's CreateAPIView over an ImageField, on the same gunicorn."""

import sqlite3
import subprocess
import sys

from bench._facts import ROOT
from bench._load import Pieces
from bench.peers.base import System, environment, form, request_head

PROJECT = ROOT / "bench" / "peers" / "plain"
THREADS = 8  # of each worker; with two workers one for each of the 16 connections


class PlainDRF(System):
    name = "plain DRF"
    workers = 1

    def start(self) -> None:
        ours = environment(PLAIN_DATA=str(self.folder), PYTHONPATH=str(PROJECT))
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--run-syncdb", "--verbosity", "0"], cwd=PROJECT, env=ours, check=True
        )
        options = f"--worker-class gthread --workers {self.workers} --threads {THREADS} --timeout 60"
        self.how = f"CreateAPIView and ImageField, no authentication; SQLite in WAL mode; gunicorn {options}"
        command = f"exec gunicorn plain_wsgi {options} --bind 127.0.0.1:{self.port} --no-control-socket"
        self.launch(command, folder=PROJECT, environment=ours).await_answer(self.port)

    def compose(self, photo: Pieces, number: int) -> Pieces:
        kind, pieces, length = form(photo, field="image", name=f"{number}.jpg", label="apple")
        return request_head("POST", "/photos/", self.port, length, Content_Type=kind.decode()), *pieces

    def stored(self) -> int:
        with sqlite3.connect(self.folder / "db.sqlite3") as rows:
            names = [name for (name,) in rows.execute("SELECT image FROM photos_photo")]
        return sum((self.folder / "media" / name).stat().st_size > 0 for name in names)
