"""The web process for tests: started as deploy/Procfile* starts it, on the tests' database and store."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_servers import await_port, free_port

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def web_process(folder: Path, **environment: str) -> Iterator[str]:
    """One worker unless `environment` says otherwise; yields its address. Its log is `folder`/log."""
    port, log = free_port(), folder / "log"
    variables = {**os.environ, "WEB_WORKERS": "1", **environment, "PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "config.wsgi"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output, start_new_session=True)
    try:
        await_port(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # at once: a test may have left connections that a graceful end would wait for
        process.wait()
