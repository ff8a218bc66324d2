"""The TypeScript phone for tests: compiled once a session, run by node."""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TSC = ROOT / "node_modules" / ".bin" / "tsc"
HAVE_NODE = bool(shutil.which("node")) and TSC.exists()
with_node = pytest.mark.skipif(not HAVE_NODE, reason="NOT RUN: no node, or no TypeScript (make test installs it by npm)")


@cache
def compiled() -> Path:
    """The folder of clients/web as JavaScript; a type error fails."""
    folder = Path(tempfile.mkdtemp(prefix="photorally-web-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run([TSC, "-p", "clients/web", "--outDir", folder], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    shutil.copy(ROOT / "clients" / "web" / "package.json", folder)  # it says that these are modules
    return folder


def update(program: Path, folder: Path, **settings: Any) -> dict[str, Any]:
    """One update of the phone in `folder`: {"reason", "version", "sha256"}."""
    command = ["node", str(program / "update.js"), str(folder), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_tests(program: Path, vectors: Path) -> subprocess.CompletedProcess[str]:
    """Node's own test runner over what is compiled."""
    environment = {**os.environ, "VECTORS": str(vectors)}
    command = ["node", "--test", "--test-reporter=tap", str(program / "vectors.test.js")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
