"""The same processes as `make serve` without Redis, as children of the demo: started, awaited, and always stopped."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

START_LIMIT_S = 60  # seconds until the web process must answer; a cold disk takes some
STOP_LIMIT_S = 15  # seconds for a clean end; the worker finishes the row in hand
PREFERRED_PORT = 8000  # the port of `make serve`, so that links in the demo's mails work there too
ROOT = Path(__file__).resolve().parent.parent


class NotRunning(RuntimeError):
    """A process of the demo did not start, or ended by itself; the text names its log."""


def free_port() -> int:
    """PREFERRED_PORT if nobody listens there, else any free one (loopback)."""
    for port in (PREFERRED_PORT, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web process will bind
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise NotRunning("No port is free on 127.0.0.1.")


def commands(procfile: Path) -> dict[str, str]:
    """name → shell command of a Procfile."""
    from honcho.environ import parse_procfile

    return dict(parse_procfile(procfile.read_text()).processes)


class Servers:
    """Web and worker, with their output in `logs/<name>.log`."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = dict(environment)
        self.logs = logs
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all and return once the web process says it is able to work. Raises NotRunning."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{self.environment.get('PATH', os.defpath)}"
        for name, command in commands(ROOT / "deploy" / "Procfile.embedded").items():
            with (self.logs / f"{name}.log").open("wb") as log:
                self.children[name] = subprocess.Popen(  # noqa: S602  the project's own Procfile is made of shell commands
                    command,
                    shell=True,
                    cwd=ROOT,
                    env={**self.environment, "PATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C reaches the demo, which stops them in order
                )
        self._await_web()

    def check(self) -> None:
        """Raise NotRunning if a process has ended."""
        for name, child in self.children.items():
            if child.poll() is not None:
                raise NotRunning(f"The {name} process ended with status {child.returncode}; see {self.logs / name}.log.")

    def stop(self) -> None:
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()

    def _await_web(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        address = f"http://{self.environment['HOST']}:{self.environment['PORT']}/readyz"
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(OSError), urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise NotRunning(f"The web process did not answer within {START_LIMIT_S} s; see {self.logs / 'web'}.log.")


@contextlib.contextmanager
def serving(environment: Mapping[str, str], logs: Path) -> Iterator[Servers]:
    """Servers for the duration of a block."""
    servers = Servers(environment, logs)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
