"""PHONE: a model's file as it comes: whole, compressed by zstd, or told by the file that the phone has (RFC 9842)."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
import zstandard

CHUNK = 64 * 2**10  # bytes between two looks at the length
WINDOW_MOST = 2**23  # bytes of memory that a decoder gives a server: what RFC 9842 and RFC 9659 have it give
DCZ_MAGIC = bytes.fromhex("5e2a4d1820000000")  # a skippable frame of 32 bytes (RFC 9842, section 5)


class BadEncoding(Exception):
    """The file came compressed in a way that this phone did not ask for or cannot read; it asks for the plain file then."""


def wanted(have: bytes | None) -> dict[str, str]:
    """The headers that ask for the smallest answer; `have`: the file that the phone runs."""
    if have is None:
        return {"Accept-Encoding": "zstd"}
    named = base64.b64encode(hashlib.sha256(have).digest()).decode()
    return {"Accept-Encoding": "zstd, dcz", "Available-Dictionary": f":{named}:"}


def decoded(response: requests.Response, have: bytes | None) -> Iterator[bytes]:
    """The file's bytes, a few at a time: a small answer that grows without end takes no memory. Raises BadEncoding, and
    requests.ConnectionError where the connection broke."""
    return undone(response.headers.get("Content-Encoding", "identity"), _raw(response), have)


def undone(encoding: str, body: Iterator[bytes], have: bytes | None) -> Iterator[bytes]:
    """What a body in this content coding tells to who has the file `have`. Raises BadEncoding."""
    if encoding == "identity":
        yield from body
        return
    if encoding not in ("zstd", "dcz"):
        raise BadEncoding(f"The file comes as {encoding!r}, which nobody asked for.")
    dictionary, first = None, b""
    if encoding == "dcz":
        dictionary, first = _dictionary(body, have)
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=WINDOW_MOST)
    source: Any = _Reader(first, body)  # all of a file that zstandard asks for is `read`
    try:
        yield from decoder.read_to_iter(source, write_size=CHUNK)
    except zstandard.ZstdError as error:
        raise BadEncoding(f"The file's {encoding} cannot be read: {error}.") from error


def _dictionary(body: Iterator[bytes], have: bytes | None) -> tuple[zstandard.ZstdCompressionDict, bytes]:
    """(the file that the phone has, as a dictionary; what came of the frame already)."""
    head = b""
    while len(head) < len(DCZ_MAGIC) + 32 and (part := next(body, b"")):
        head += part
    told_by = head[len(DCZ_MAGIC) : len(DCZ_MAGIC) + 32]
    if have is None or not head.startswith(DCZ_MAGIC) or told_by != hashlib.sha256(have).digest():
        raise BadEncoding("The file is told by another one than this phone has.")
    dictionary = zstandard.ZstdCompressionDict(have, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return dictionary, head[len(DCZ_MAGIC) + 32 :]


class _Reader:
    """What zstandard reads from: the rest of an answer."""

    def __init__(self, first: bytes, body: Iterator[bytes]) -> None:
        self._left, self._body = first, body

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = next(self._body, b"")
        if size < 0:
            size = len(self._left)
        part, self._left = self._left[:size], self._left[size:]
        return part


def _raw(response: requests.Response) -> Iterator[bytes]:
    """The body as it is on the wire: `requests` would decode what it knows, without a bound."""
    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(str(error)) from error
