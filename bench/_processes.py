"""A server under measurement: its whole process tree is started, awaited, weighed and stopped together."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

START_LIMIT_S = 600  # seconds; Label Studio's migrations take two minutes of CPU at its first start
STOP_LIMIT_S = 15  # seconds a server may take to leave


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NotStarted(RuntimeError):
    """A server ended or stayed silent instead of answering; the text is the end of its log."""


class Tree:
    """One server: the process started here and all its descendants."""

    def __init__(self, command: str, *, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        """`command` goes through a shell, as honcho runs a line of a Procfile."""
        self.log = log
        with log.open("ab") as output:
            # A session of its own: SIGKILL reaches the whole group at once, and Ctrl-C reaches us alone.
            self.process = subprocess.Popen(
                ["sh", "-c", command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def members(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def await_answer(self, port: int) -> None:
        """Return once HTTP is answered on `port`; otherwise raises NotStarted."""
        deadline = time.monotonic() + START_LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                probe.settimeout(START_LIMIT_S)
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if probe.recv(5) == b"HTTP/":
                    return
            time.sleep(0.05)
        self.stop()
        raise NotStarted(f"A server did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def cpu_s(self) -> float:
        """User + system seconds of all members, and of those that ended and were waited for (10 ms steps)."""
        total = 0.0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def forget_peak(self) -> None:
        """Set each member's high-water mark to what it holds now."""
        for member in self.members():
            with contextlib.suppress(OSError):
                Path(f"/proc/{member.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM

    def memory_mb(self) -> tuple[float, float]:
        """Peak RSS (the sum of the members' marks since forget_peak; shared pages count in each) and PSS now, in MB."""
        peak = pss = 0.0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess, OSError):
                status = Path(f"/proc/{member.pid}/status").read_text()
                peak += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0) * 1024
                pss += member.memory_full_info().pss
        return peak / 1e6, pss / 1e6

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL to every process of the group at once, as a machine's out-of-memory killer or a power switch would."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM to the group, SIGKILL to what is left after STOP_LIMIT_S."""
        if self.process.poll() is not None:
            return
        members = self.members()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        _, left = psutil.wait_procs(members, timeout=STOP_LIMIT_S)
        for member in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_LIMIT_S)
