"""`python -m tests.real_servers [pytest's arguments]`: every test on SQLite, then again on a PostgreSQL and a Redis of its own.

The servers listen on free loopback ports, keep their data in a temporary folder and are stopped at the end, also after
Ctrl-C. Missing ones are installed on Debian as root; elsewhere one line says what to install, and what was not run is
reported. With CI=true a missing server is a failure.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
START_LIMIT_S = 30  # seconds a server may take to answer
NOTHING_SELECTED = 5  # pytest's exit status; also where a named file is missing
STOP_LIMIT_S = 10  # seconds a server may take to leave
DEBIAN_PACKAGES = {
    "initdb": "postgresql",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "node": "nodejs",
    "npm": "npm",
    "java": "default-jre-headless",  # the HTML validator
}
NPM_STAMP = "node_modules/.package-lock.json"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def find(binary: str) -> Path | None:
    """A binary on PATH, or in the newest of Debian's PostgreSQL folders."""
    if found := shutil.which(binary):
        return Path(found)
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{binary}")
    return max(versions, key=lambda path: float(path.parent.parent.name), default=None)


def missing() -> list[str]:
    """Debian's names of what is not here."""
    return sorted({package for binary, package in DEBIAN_PACKAGES.items() if find(binary) is None})


def install(packages: list[str]) -> None:
    """Let Debian's package manager install `packages`; a failure is told by `missing()` afterwards."""
    say(f"Installing {' '.join(packages)} with apt-get …")
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:  # otherwise the packages would start servers of their own, and nobody would stop them
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "-q", *command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
            if done.returncode:
                say(f"apt-get {command[0]} failed: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}")
    finally:
        if ours:
            policy.unlink()


def npm_packages(absent: list[str]) -> bool:
    """Install what package-lock.json names, unless it is there; False where that cannot be done."""
    if {"nodejs", "npm"} & set(absent):
        return False
    return subprocess.run(["make", "--silent", NPM_STAMP], cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once something accepts connections on `port`; raise when the process ends or START_LIMIT_S is over."""
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(command: list[str], *, port: int, folder: Path, user: str | None, stop: signal.Signals) -> Iterator[None]:
    """A server process, awaited, and stopped by `stop`, at last by force."""
    log = folder / "log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, and we stop the server after the tests that use it.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=user, cwd=folder, start_new_session=True
        )
    try:
        await_port(port, process, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgresql(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A fresh PostgreSQL; yields its URL. It refuses to run as root, so root hands it to another user."""
    initdb, postgres = find("initdb"), find("postgres")
    assert initdb and postgres
    user = None
    folder.mkdir()
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = next(name for name in ("postgres", "nobody") if name in names)
        shutil.chown(folder, user)
    data = folder / "data"
    subprocess.run(
        [str(initdb), "--pgdata", str(data), "--username", "tests", "--auth", "trust", "--encoding", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=folder,
    )
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1"}
    if not durable:  # nothing here outlives the tests: no write needs to reach the disk
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    settings |= {"port": str(port), "unix_socket_directories": str(folder)}
    command = [str(postgres), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    # SIGINT: PostgreSQL's fast shutdown, which does not wait for its clients.
    with running(command, port=port, folder=folder, user=user, stop=signal.SIGINT):
        yield f"postgres://tests@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A fresh Redis that keeps nothing; yields its URL."""
    folder.mkdir()
    port = free_port()
    command = [str(find("redis-server")), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(command, port=port, folder=folder, user=None, stop=signal.SIGTERM):
        yield f"redis://127.0.0.1:{port}"


def pytest(title: str, arguments: list[str], **environment: str) -> int:
    """One pass over the tests; returns pytest's exit status."""
    say(f"\n== {title}")
    environment = {**os.environ, **environment}
    # Two workers, whole files to each, in conftest's order.
    parallel = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-q", *parallel, "--durations", "5", *arguments]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(STOP_LIMIT_S)  # pytest heard Ctrl-C as well and ends what its tests started
        process.terminate()
        raise
    return status


def as_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def both_passes(arguments: list[str], servers: bool) -> int:
    """Run what can be run; returns the worst exit status."""
    worst = pytest("SQLite, no broker", arguments)
    if not servers:
        return worst
    with tempfile.TemporaryDirectory(prefix="photorally-servers-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must pass through it
        urls = {
            "TEST_DATABASE_URL": stack.enter_context(postgresql(folder / "postgresql")),
            "TEST_REDIS_URL": stack.enter_context(redis(folder / "redis")),
        }
        # What asks no database was told by the first pass; networks are trained there too, and the whole path in both.
        selected = ["--database-only", "-m", "not training or whole_path", *arguments]
        status = pytest("PostgreSQL and Redis", selected, **urls)
        return max(worst, 0 if status == NOTHING_SELECTED else status)  # the first pass ran it all


def main() -> int:
    signal.signal(signal.SIGTERM, as_interrupt)  # whoever stops us leaves no servers behind
    if missing() and os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get"):
        install(missing())
    absent = missing()
    strict = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    if absent:
        say(f"Not found: {', '.join(absent)}. For all tests to run, install them (Debian: apt-get install {' '.join(absent)}).")
    packages = npm_packages(absent)
    if strict and (absent or not packages):
        say("CI=true: a missing server is a failure." if absent else "CI=true: packages missing from npm are a failure.")
        return 1
    servers = not {"postgresql", "redis-server"} & set(absent)
    try:
        worst = both_passes(sys.argv[1:], servers)
    except KeyboardInterrupt:
        say("Interrupted; the servers are stopped.")
        return 130
    not_run = [] if servers else ["every test on PostgreSQL and Redis"]
    not_run += ["tests in a browser"] if "chromium" in absent else []
    not_run += ["the HTML validator"] if "default-jre-headless" in absent else []
    not_run += [] if packages else ["the official tus client"]
    install_them = f" (install {' '.join(absent)})" if absent else " (npm ci failed)"
    end = f"; NOT RUN: {', '.join(not_run)}{install_them}" if not_run else ", on both databases"
    say(f"\nmake test: {'passed' if worst == 0 else 'FAILED'}{end}.")
    return worst


if __name__ == "__main__":
    sys.exit(main())
