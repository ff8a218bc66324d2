"""What every measured server has: a start in a fresh folder, a request for a photo, and a count of what it kept."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from bench._load import Pieces
from bench._processes import Tree, free_port

BOUNDARY = b"photorally-bench-7d1f"
# What our own shell exports must not steer a server under measurement.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "SSL_CERT_FILE")


class NotInstalled(RuntimeError):
    """This peer cannot be had here; the text says why."""


class System(ABC):
    """A server under measurement. `name` is what rows and claims call it; `how` what the result says of its set-up."""

    name: str
    how: str

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.trees: list[Tree] = []  # all that runs for it; the server itself comes first
        self.port = free_port()

    def prepare(self) -> None:  # noqa: B027  a system that needs no installation has nothing to prepare
        """Install what is missing. Raises NotInstalled."""

    @abstractmethod
    def start(self) -> None:
        """Start it on `self.port`, with an account and whatever else a photo needs."""

    @abstractmethod
    def compose(self, photo: Pieces, number: int) -> Pieces:
        """The whole HTTP request for one photo, in pieces."""

    @abstractmethod
    def stored(self) -> int:
        """Photos that are really there: counted in its database and on its disk, never taken from its answers."""

    def cpu_s(self) -> float:
        return sum(tree.cpu_s() for tree in self.trees)

    def forget_peak(self) -> None:
        for tree in self.trees:
            tree.forget_peak()

    def memory_mb(self) -> tuple[float, float]:
        """Peak RSS since forget_peak and PSS now, see Tree.memory_mb."""
        peaks, nows = zip(*(tree.memory_mb() for tree in self.trees), strict=True)
        return sum(peaks), sum(nows)

    def launch(self, command: str, *, folder: Path, environment: Mapping[str, str], log: str = "log") -> Tree:
        """Start a process tree that counts as this system's; its output goes to the file `log`."""
        tree = Tree(command, folder=folder, environment=environment, log=self.folder / log)
        self.trees.append(tree)
        return tree

    def settle(self) -> None:  # noqa: B027  most systems are done when they have answered
        """Return when the work that uploads left behind is done."""

    def rest(self) -> None:  # noqa: B027
        """Others are measured now: do nothing by yourself."""

    def resume(self) -> None:  # noqa: B027
        """You are measured now."""

    def stop(self) -> None:
        """Stop whatever was started, also after a start that failed."""
        for tree in self.trees:
            tree.stop()


def environment(**more: str) -> dict[str, str]:
    """The environment of a server: the machine's own facts, this Python's programs, and `more`."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | more


def request_head(method: str, path: str, port: int, length: int, **headers: str) -> bytes:
    """Request line and headers; underscores in names of `headers` stand for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def form(photo: Pieces, *, field: str, name: str, **texts: str) -> tuple[bytes, Pieces, int]:
    """A multipart form (RFC 7578): its content type, its pieces, and its length in bytes."""
    opening = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (BOUNDARY, key.encode(), value.encode())
        for key, value in texts.items()
    )
    opening += b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: image/jpeg\r\n\r\n' % (
        BOUNDARY,
        field.encode(),
        name.encode(),
    )
    pieces = (opening, *photo, b"\r\n--%b--\r\n" % BOUNDARY)
    return b"multipart/form-data; boundary=" + BOUNDARY, pieces, sum(map(len, pieces))
