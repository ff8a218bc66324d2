"""SNAPSHOT → FINE-TUNE: the photos of a night, as the recipes need them: centre pixels, cached views, or larger pictures."""

import math
import tempfile
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from collector.storage import store
from training import looks
from training.images import Progress, load_examples
from training.looks import NOTHING
from training.models import Trunk
from training.recipe import Recipe


@dataclass(frozen=True)
class Seen:
    """Photos ready for the network, in one order: `truth` int64 [n] label indices, `pixels` uint8 [n, s, s, 3] as phones feed.

    From the cache: `centre` float16 [n, h, w, c], the photos at the boundary, `activations` float16 [n, views, h, w, c] of
    random views of them, and `features` float16 [n, d] of the photos by the untrained network. From pixels: `sources` uint8
    [n, source, source, 3]. What is not needed is empty.
    """

    ids: list[str]
    groups: list[str]
    truth: np.ndarray
    pixels: np.ndarray
    centre: np.ndarray = field(default_factory=lambda: NOTHING)
    activations: np.ndarray = field(default_factory=lambda: NOTHING)
    features: np.ndarray = field(default_factory=lambda: NOTHING)
    sources: np.ndarray = field(default_factory=lambda: NOTHING)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Wanted:
    """One photo that a night wants: `view` is the store's key of its picture, `label` its index."""

    photo: str
    view: str
    group: str
    label: int


def from_cache(
    trunk: Trunk, wanted: Sequence[Wanted], recipe: Recipe, *, held_out: bool, progress: Progress
) -> tuple[Seen, int]:
    """The photos by their cached views, and how many had to be looked at. Raises what `looks.gather` raises.

    Memory: what comes of it, above `recipe.cache_bytes` in a file, and a few looks.
    """
    rows = [looks.Row(each.photo, each.view, held_out) for each in wanted]
    collected = Collected(wanted, recipe, held_out=held_out)
    made = looks.gather(trunk, rows, collected.take, progress)
    return collected.seen(), made


class Collected:
    """Looks at `wanted` photos, put together as they come, in any order."""

    def __init__(self, wanted: Sequence[Wanted], recipe: Recipe, *, held_out: bool) -> None:
        self._wanted, self._recipe, self._held_out = wanted, recipe, held_out
        self._arrays: dict[str, np.ndarray] = {}

    def take(self, index: int, look: looks.Look) -> None:
        """The look at photo `index` of those wanted."""
        for name, part in vars(look).items():
            if name == "activations" and self._held_out:
                continue
            if name not in self._arrays:
                self._arrays[name] = _room((len(self._wanted), *part.shape), part.dtype, self._recipe.cache_bytes)
            self._arrays[name][index] = part

    def seen(self) -> Seen:
        """All of them, once each has been taken."""
        nothing = {"pixels": np.empty((0, self._recipe.image_size, self._recipe.image_size, 3), np.uint8)}  # of no photos
        ids, groups, truth = _named(self._wanted)
        return Seen(ids, groups, truth, **(nothing | self._arrays))


def from_pictures(wanted: Sequence[Wanted], recipe: Recipe, *, held_out: bool, progress: Progress) -> Seen:
    """The photos decoded now, also at the size that random views are cut from, unless they are `held_out`.

    Raises MissingObject, UnreadablePhoto.
    """
    rows = [(each.photo, each.view, each.label) for each in wanted]

    def at(size: int) -> np.ndarray:
        return load_examples(rows, read=store().get, size=size, progress=progress).images

    pixels = at(recipe.image_size)
    sources = NOTHING if held_out else pixels if recipe.source_size == recipe.image_size else at(recipe.source_size)
    return Seen(*_named(wanted), pixels, sources=sources)


def parted(seen: Seen, aside: np.ndarray) -> tuple[Seen, Seen]:
    """(the others, those that are `aside`: bool [n]) as parts of `seen`, which is put in that order: nothing is held twice."""
    first = len(seen) - int(aside.sum())
    front = np.flatnonzero(aside[:first])
    back = first + np.flatnonzero(~aside[first:])
    per_photo: list[Any] = [*_arrays(seen).values(), seen.ids, seen.groups]
    # Each once: pictures of one size are pixels and sources at the same time, and what is swapped twice is not swapped.
    for array in {id(each): each for each in per_photo}.values():
        for a, b in zip(front, back, strict=True):
            array[a], array[b] = copy(array[b]), copy(array[a])
    return _slice(seen, slice(first)), _slice(seen, slice(first, None))


def joined(parts: Sequence[Seen]) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """(ids, groups, truth, features float32 [n, d]) of photos of the cache, one part after the other."""
    ids = [photo for part in parts for photo in part.ids]
    groups = [group for part in parts for group in part.groups]
    features = np.concatenate([part.features for part in parts if len(part)]).astype(np.float32)
    return ids, groups, np.concatenate([part.truth for part in parts]), features


def _slice(seen: Seen, rows: slice) -> Seen:
    arrays: dict[str, Any] = {name: array[rows] for name, array in _arrays(seen).items()}
    return replace(seen, ids=seen.ids[rows], groups=seen.groups[rows], **arrays)


def _arrays(seen: Seen) -> dict[str, np.ndarray]:
    """Those that have something for each photo."""
    return {name: array for name, array in vars(seen).items() if isinstance(array, np.ndarray) and len(array)}


def _named(wanted: Sequence[Wanted]) -> tuple[list[str], list[str], np.ndarray]:
    truth = np.array([each.label for each in wanted], np.int64)
    return [each.photo for each in wanted], [each.group for each in wanted], truth


def _room(shape: tuple[int, ...], dtype: np.dtype, most_in_memory: int) -> np.ndarray:
    """An uninitialised array; a large one lies in an unnamed temporary file that vanishes with the process."""
    if math.prod(shape) * dtype.itemsize <= most_in_memory:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # the mapping outlives the closed file
        return np.memmap(file, dtype, "w+", shape=shape)
