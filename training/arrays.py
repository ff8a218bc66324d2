"""What several steps keep in the store: JSON-ready facts and arrays by name, as the bytes of one .npz file."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np

FACTS = "facts"  # the member that holds the facts, as UTF-8


def pack(facts: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The same facts and arrays, in the same order, are the same bytes. No array may be called FACTS."""
    file = io.BytesIO()
    written = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(file, allow_pickle=False, **{FACTS: written}, **arrays)
    return file.getvalue()


def unpack(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """The inverse of `pack`: (facts, arrays). Raises ValueError for any other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return json.loads(file[FACTS].tobytes()), {name: file[name] for name in file.files if name != FACTS}
    except (BadZipFile, KeyError, TypeError, AttributeError, EOFError, OSError) as error:
        raise ValueError(str(error)) from error


def named(lists: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """Lists of arrays, under a thousand each, as arrays by name, for `pack`."""
    return {f"{name}-{index:03}": array for name, some in lists.items() for index, array in enumerate(some)}


def listed(arrays: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    """The list that `named` was given under this name."""
    return [arrays[key] for key in sorted(arrays) if key.rpartition("-")[0] == name]
