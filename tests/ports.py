"""Ports for servers that cannot be told to take a free one themselves, such as TensorFlow's; and how they are named to it."""

import errno
import fcntl
import json
import random
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

BELOW = 30_000  # Linux hands out 32768 and above by itself, so that nobody is given these unasked
ABOVE = 20_000


@contextmanager
def reserved(count: int) -> Iterator[list[int]]:
    """So many free ports of 127.0.0.1, which no other test is given before this block ends: a lock on a file holds each."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(ABOVE, BELOW)
            file = held.enter_context((Path(tempfile.gettempdir()) / f"photorally-port-{port}.lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EADDRINUSE):
                    raise
            else:
                found.append(port)
        yield found


def tf_config(workers: Sequence[str], index: int) -> str:
    """TF_CONFIG of one of these machines ("host:port")."""
    return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}})


def local(numbers: Sequence[int]) -> list[str]:
    """These ports of this machine."""
    return [f"127.0.0.1:{number}" for number in numbers]
