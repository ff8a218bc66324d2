"""INTAKE, in the worker: pixels are decoded in a child process, which is replaced when it dies, hangs or has done its share.

One child for each process that asks; threads of one process take turns. A file that kills its decoder kills nothing else.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings

from collector.decoder import ANSWER, READY, REQUEST
from collector.duplicates import bands_of

CHILD = Path(__file__).with_name("decoder.py")
PIPE_BYTES = 2**20  # Linux' most for everybody: a photo passes in a few turns instead of dozens
ANSWER_MAX_BYTES = 16 * 2**20  # bytes of one picture in an answer; a view of noise takes 1 MB
START_S = 20  # seconds for Python and Pillow to load on a machine that is busy
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
# For glibc: keep the few megabytes that each photo needs instead of handing them back and faulting them in again (2,400 page
# faults a photo, a fifth of its CPU time). What is larger than 8 MiB is still handed back at once.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(32 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20)}
BY_THE_FILE = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGXFSZ}
log = structlog.get_logger()


class Derived(NamedTuple):
    """`view`, `thumbnail`: JPEG bytes, upright, sRGB, without metadata. `bands`: the perceptual hash."""

    view: bytes
    thumbnail: bytes
    bands: tuple[int, ...]


class DoesNotDecode(Exception):
    """The photo is at fault; the text says what happened."""


class NoDecoder(Exception):
    """No child process can be started: the machine is at fault, not the photo."""


class _Died(Exception):
    """The child ended before its answer did."""


def derive(data: bytes, orientation: int) -> Derived:
    """Decode a whole photo in the child process. Raises DoesNotDecode, NoDecoder.

    A child that dies by a crash or a limit dies by the file. One that is killed otherwise (by the kernel for want of memory, by
    an operator) may be innocent's bad luck: the photo gets one more, fresh child.
    """
    with _lock:
        for tries_left in (1, 0):
            decoder = _running()
            try:
                return decoder.derive(data, orientation)
            except _Died:
                retire()
                why = _verdict(decoder.process.returncode, last=not tries_left)
                log.warning("decoder died", status=decoder.process.returncode, why=why or "tried again")
                if why:
                    raise DoesNotDecode(why) from None
            except BaseException as error:
                if not isinstance(error, DoesNotDecode) or decoder.process.poll() is not None:
                    retire()  # it may be in the middle of an answer that nobody will read
                raise
    raise AssertionError("the last try answers or raises")


def retire() -> None:
    """End this process's child, if there is one; the next photo starts another."""
    global _decoder
    if _decoder is not None:
        _decoder.end()
        _decoder = None


class Decoder:
    """One child process and the pipes to it."""

    def __init__(self, limits: tuple[int, ...]) -> None:
        self.limits, self.photos = limits, 0
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own file, and numbers
                [sys.executable, "-P", str(CHILD), *map(str, limits)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                env=MALLOC | {name: os.environ[name] for name in PASSED_ON if name in os.environ},
                start_new_session=True,  # Ctrl-C at a terminal is for us; the child ends when its input does
            )
        except OSError as error:
            raise NoDecoder(f"The decoder does not start: {error}") from error
        assert self.process.stdin and self.process.stdout
        self.into, self.out = self.process.stdin.fileno(), self.process.stdout.fileno()
        for pipe in (self.into, self.out):
            os.set_blocking(pipe, False)
            with suppress(AttributeError, OSError):  # a smaller pipe only costs turns
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            ready = self._exchange([], lambda answer: len(READY) if answer else None, START_S)
        except (_Died, DoesNotDecode) as error:
            self.end()
            raise NoDecoder(f"The decoder does not start: its process left with {self.process.returncode}.") from error
        if ready != READY:
            self.end()
            raise NoDecoder("The decoder does not start: it says something else than that it is ready.")

    def derive(self, data: bytes, orientation: int) -> Derived:
        """Raises DoesNotDecode, _Died."""
        self.photos += 1
        answer = self._exchange([REQUEST.pack(len(data), orientation), data], _whole_answer, settings.DECODE_WALL_S)
        decoded, first, _, phash = ANSWER.unpack_from(answer)
        view, thumbnail = answer[ANSWER.size : ANSWER.size + first], answer[ANSWER.size + first :]
        if not decoded:
            raise DoesNotDecode(f"it does not decode ({view.decode('ascii', 'replace')})")
        return Derived(view, thumbnail, bands_of(phash))

    def _exchange(self, parts: list[bytes], whole: Callable[[bytearray], int | None], seconds: float) -> bytes:
        """Write `parts` and read one answer, whichever pipe is ready: neither side can wait for the other to read first.

        `whole` says how long the answer is, or None while that is not known. Raises _Died, DoesNotDecode (too slow).
        """
        deadline, poller = time.monotonic() + seconds, select.poll()
        unsent, answer = [memoryview(part) for part in parts], bytearray()
        poller.register(self.out, select.POLLIN)
        if unsent:
            poller.register(self.into, select.POLLOUT)
        while (length := whole(answer)) is None or len(answer) < length:
            left = deadline - time.monotonic()
            if left <= 0:
                self.end()
                raise DoesNotDecode(f"it does not decode within {seconds} s")
            for pipe, _ in poller.poll(left * 1000):
                if pipe == self.out:
                    answer += self._read()
                elif not self._write(unsent):
                    poller.unregister(self.into)
        if len(answer) > length or unsent:
            raise _Died  # it speaks out of turn: whoever it is now, it is not our decoder any more
        return bytes(answer)

    def _read(self) -> bytes:
        chunk = os.read(self.out, PIPE_BYTES)
        if not chunk:
            raise _Died
        return chunk

    def _write(self, unsent: list[memoryview]) -> bool:
        """Write what the pipe takes now; returns whether anything is left."""
        try:
            written = os.write(self.into, unsent[0][:PIPE_BYTES])
        except BlockingIOError:
            return True
        except BrokenPipeError:
            raise _Died from None
        unsent[0] = unsent[0][written:]
        if not unsent[0]:
            del unsent[0]
        return bool(unsent)

    def end(self) -> None:
        """Kill and reap it; what it died of before stays in `process.returncode`."""
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


def _whole_answer(answer: bytearray) -> int | None:
    if len(answer) < ANSWER.size:
        return None
    _, first, second, _ = ANSWER.unpack_from(answer)
    if max(first, second) > ANSWER_MAX_BYTES:
        raise _Died
    return ANSWER.size + int(first) + int(second)


def _verdict(status: int, *, last: bool) -> str:
    """Why the photo is at fault for this end of its decoder, or "" where it may not be."""
    number = signal.Signals(-status) if status < 0 else None
    if number in (signal.SIGPROF, signal.SIGXCPU):
        return f"it does not decode within {settings.DECODE_CPU_S} s of CPU time"
    if number == signal.SIGALRM:
        return f"it does not decode within {settings.DECODE_WALL_S} s"
    if number in BY_THE_FILE:
        return f"it does not decode (its decoder crashed: {number.name})"
    if last:
        return f"it does not decode (its decoder ended twice: {number.name if number else f'status {status}'})"
    return ""


def _running() -> Decoder:
    """This process's child: alive, under today's limits, and not yet at the end of its share."""
    global _decoder
    limits = (settings.DECODE_MEMORY_BYTES, settings.DECODE_CPU_S, settings.DECODE_WALL_S, settings.PHOTO_MAX_PIXELS)
    if _decoder is not None and (
        _decoder.limits != limits or _decoder.photos >= settings.DECODER_PHOTOS or _decoder.process.poll() is not None
    ):
        retire()
    if _decoder is None:
        _decoder = Decoder(limits)
    return _decoder


def _forget() -> None:
    """After a fork: the child belongs to the parent. Its pipes are closed here, or its input would not end with the parent."""
    global _decoder, _lock
    _lock = threading.Lock()
    if _decoder is not None:
        _decoder.close()
        _decoder = None


_decoder: Decoder | None = None
_lock = threading.Lock()
os.register_at_fork(after_in_child=_forget)
