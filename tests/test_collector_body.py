"""INTAKE: a body is counted as it arrives; what is too long, too short or too much at once is said before memory is gone."""

import io
from typing import Any

import pytest

from collector.body import Readable, announced, room, whole_body
from collector.errors import EmptyBody, LengthMismatch, LengthRequired, PhotoTooLarge, TooBusy
from config.errors import BodyBroken

pytestmark = pytest.mark.django_db  # before a wait the connection is given back


class Network:
    """Gives the pieces one by one, then breaks."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read(self, size: int, /) -> bytes:
        if not self.pieces:
            raise OSError("reset by peer")
        return self.pieces.pop(0)


def read(stream: Readable, declared: str | None) -> bytes:
    with whole_body(stream, declared) as result:
        return result


@pytest.mark.parametrize("length", [1, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_body_comes_whole_and_nothing_of_the_next_request(length: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    stream = io.BytesIO(data[:length] + b"GET / HTTP/1.1")
    assert read(stream, str(length)) == data[:length]
    assert stream.read() == b"GET / HTTP/1.1"


@pytest.mark.parametrize("declared", [None, "", "x", "-1", "1.0", "٣", "+5"])
def test_a_length_that_is_no_number_is_asked_for(declared: str | None) -> None:
    with pytest.raises(LengthRequired):
        announced(declared, most=10)


@pytest.mark.parametrize("declared", ["11", "9" * 5000])
def test_a_length_beyond_the_limit_is_refused_unread(declared: str) -> None:
    with pytest.raises(PhotoTooLarge):
        announced(declared, most=10)


def test_no_bytes_are_no_photo() -> None:
    with pytest.raises(EmptyBody):
        announced("0", most=10)


def test_a_body_that_ends_early_or_breaks_says_how_far_it_came_and_frees_its_room() -> None:
    with pytest.raises(LengthMismatch, match="10 bytes were announced, 4 came"):
        read(io.BytesIO(b"four"), "10")
    with pytest.raises(BodyBroken, match="4 of 10 bytes came"):
        read(Network(b"four"), "10")
    assert room._held == 0


def test_all_bodies_together_stay_within_the_memory_they_may_take(settings: Any) -> None:
    settings.BODIES_MAX_BYTES = 100
    with whole_body(io.BytesIO(bytes(60)), "60"):
        with pytest.raises(TooBusy) as refused:
            read(io.BytesIO(bytes(60)), "60")
        assert refused.value.status == 503 and refused.value.retry_after_s == settings.BODIES_RETRY_S
        assert len(read(io.BytesIO(bytes(40)), "40")) == 40
    assert len(read(io.BytesIO(bytes(60)), "60")) == 60
    assert room._held == 0
