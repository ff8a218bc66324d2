"""The tus reference server (@tus/server with @tus/file-store from npm), which only stores."""

import json
import shlex
import shutil
import subprocess

from bench._facts import CACHE, ROOT, say
from bench._load import Pieces
from bench.peers.base import NotInstalled, System, environment, request_head

SOURCE = ROOT / "bench" / "peers" / "tus"
HOME = CACHE / "peers" / "tus"


class Tus(System):
    name = "tus"

    def prepare(self) -> None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if not (node and npm):
            raise NotInstalled("node and npm are not on PATH")
        HOME.mkdir(parents=True, exist_ok=True)
        stamp, lock = HOME / "stamp", (SOURCE / "package-lock.json").read_text()
        if not stamp.exists() or stamp.read_text() != lock:
            say("Installing @tus/server from npm …")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCE / name, HOME / name)
            done = subprocess.run(
                [npm, "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=HOME,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise NotInstalled(f"npm ci failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
            stamp.write_text(lock)
        shutil.copy(SOURCE / "server.mjs", HOME / "server.mjs")

    def start(self) -> None:
        pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"]
        packages = ", ".join(f"{name} {version}" for name, version in sorted(pinned.items()))
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        self.how = f"{packages} on node {node}, one process; each photo by one POST (creation-with-upload)"
        files = self.folder / "files"
        files.mkdir()
        command = f"exec node server.mjs {self.port} {shlex.quote(str(files))}"
        ours = environment(NODE_ENV="production")
        self.launch(command, folder=HOME, environment=ours).await_answer(self.port)

    def compose(self, photo: Pieces, number: int) -> Pieces:
        length = sum(map(len, photo))
        head = request_head(
            "POST",
            "/files",
            self.port,
            length,
            Tus_Resumable="1.0.0",
            Upload_Length=str(length),
            Content_Type="application/offset+octet-stream",
        )
        return head, *photo

    def stored(self) -> int:
        """Uploads whose file has the length that its record names."""
        records = (self.folder / "files").glob("*.json")
        return sum(json.loads(record.read_text())["size"] == record.with_suffix("").stat().st_size for record in records)
