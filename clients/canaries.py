"""PHONE: does this phone compute with the new file what its maker did? Asked before the file takes the old one's place.

A canary is a picture that everybody has, with the answer that the released file gave to it. A digest shows that the bytes are
right; only this shows that the runtime is.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from clients import files, refusals
from clients.calls import Http, TryLater
from clients.vision import Network

SHEET_MOST_BYTES = 2 * 2**20  # of the picture with all tiles; the one in use has 150 KB
TILE_MOST = 64  # pixels of a tile's side
TILES_MOST = 1024


@dataclass(frozen=True)
class Canaries:
    """What the manifest says of them for one file: the picture of all tiles below each other (PNG, `tile` pixels wide), and of
    each named tile its number, the index of the label that must come out, and that label's score."""

    sha256: str
    bytes: int
    url: str
    tile: int
    tolerance: float
    least: float
    expected: tuple[tuple[int, int, float], ...]

    @classmethod
    def of(cls, content: Mapping[str, Any] | None, labels: int) -> Self | None:
        """Read an artifact's `canaries`; None where there are none. Raises KeyError, TypeError, ValueError."""
        if content is None or not content["expected"]:
            return None
        found = cls(
            sha256=str(content["sha256"]),
            bytes=int(content["bytes"]),
            url=str(content["url"]),
            tile=int(content["tile"]),
            tolerance=float(content["tolerance"]),
            least=float(content["least"]),
            expected=tuple((int(one["tile"]), int(one["index"]), float(one["score"])) for one in content["expected"]),
        )
        known = all(0 <= tile < TILES_MOST and 0 <= index < labels for tile, index, _ in found.expected)
        sized = 0 < found.bytes <= SHEET_MOST_BYTES and 0 < found.tile <= TILE_MOST
        if not known or not sized or not re.fullmatch(r"[0-9a-f]{64}", found.sha256):
            raise ValueError("canaries")
        return found


def fetched(canaries: Canaries, folder: Path, http: Http) -> np.ndarray:
    """The tiles uint8 [n, tile, tile, 3]; downloaded once and kept in `folder`. Raises WrongDigest, Malformed, TryLater."""
    path = folder / f"{canaries.sha256}.png"
    if not path.exists():
        data = b""
        with http.call("GET", canaries.url, stream=True, authorized=False) as response:
            for chunk in response.iter_content(64 * 2**10):
                data += chunk
                if len(data) > canaries.bytes:
                    break
        if len(data) < canaries.bytes:
            raise TryLater("The canaries came incomplete.")
        if hashlib.sha256(data).hexdigest() != canaries.sha256:
            raise refusals.WrongDigest("The canaries do not have the manifest's SHA-256.")
        files.replace(path, data)
        for other in folder.glob("*.png"):
            if other != path:
                other.unlink()
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG",)) as file:
            if file.width != canaries.tile or file.height > TILES_MOST * canaries.tile or file.height % canaries.tile:
                raise refusals.Malformed("The canaries are no column of tiles.")
            pixels = np.asarray(file.convert("RGB"))
    except OSError as error:
        path.unlink()
        raise refusals.Malformed("The canaries are no PNG.") from error
    return pixels.reshape(-1, canaries.tile, canaries.tile, 3)


def share_right(canaries: Canaries, tiles: np.ndarray, network: Network) -> float:
    """The share of the named tiles that the network answers as it must, 0…1.

    A tile is blown up by nearest neighbour: pixel (y, x) of the input is the tile's (y · tile // size, x · tile // size).
    """
    nearest = np.arange(network.size) * canaries.tile // network.size
    right = 0
    for tile, index, score in canaries.expected:
        scores = network.scores(tiles[tile][nearest][:, nearest])
        near = abs(float(scores[index]) - score) <= canaries.tolerance
        right += near and float(scores.max()) <= float(scores[index]) + canaries.tolerance
    return right / len(canaries.expected)


def prove(canaries: Canaries, tiles: np.ndarray, file: Path) -> float:
    """The share that is right, if it is enough to take the file. Raises WrongAnswers."""
    if any(tile >= len(tiles) for tile, _, _ in canaries.expected):
        raise refusals.Malformed("The manifest names canaries that are not there.")
    try:
        right = share_right(canaries, tiles, Network(file))
    except (ValueError, RuntimeError, IndexError) as error:
        raise refusals.WrongAnswers(f"This phone cannot run the file: {error}") from error
    if right < canaries.least:
        raise refusals.WrongAnswers(f"{right:.0%} of the canaries are answered rightly, {canaries.least:.0%} must be.")
    return right
