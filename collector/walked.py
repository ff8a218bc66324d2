"""INTAKE: what walking through a photo's segments finds, whatever its format."""

from typing import NamedTuple

from collector.errors import NotAWholeImage

SEGMENTS_MOST = (
    20_000  # a 25-MB PNG in pieces of 4 KB has 6,400; without a limit, empty ones would hold a web thread for seconds
)


class Walked(NamedTuple):
    """`data`: only what a decoder needs. `width`, `height`: pixels as coded, at least 1. `exif`, `xmp`: payloads, maybe empty.

    `held_bytes`: bytes that a decoder must hold beside the picture itself, where the coding makes it (several scans).
    """

    data: bytes
    width: int
    height: int
    exif: bytes = b""
    xmp: bytes = b""
    held_bytes: int = 0


def count(segments: int) -> int:
    """One segment more; raises NotAWholeImage where no encoder would have written as many."""
    if segments >= SEGMENTS_MOST:
        raise NotAWholeImage(f"The file has more than {SEGMENTS_MOST} segments. Save it again with another program.")
    return segments + 1
