"""EXPORT, its end: the bytes that are judged and released: converted, how sure they are put right, and told of themselves."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from django.conf import settings

from training import frames
from training.confidence import not_sure_below, temperature
from training.entry import quickened
from training.evaluate import classify, report
from training.formats import BYTES_IN, INT8
from training.grid import settled
from training.images import INPUT_SPEC
from training.metadata import attach, cooled, without_softmax
from training.recipe import SEED
from training.seen import Seen


@dataclass(frozen=True)
class Final:
    """`files` by format; `confidence` as the manifest says it of the int8 file; `temperature`: after quantization."""

    files: dict[str, bytes]
    confidence: dict[str, Any]
    temperature: float


def finish(
    files: Mapping[str, bytes],
    *,
    judged_by: bytes | None,
    photos: Seen,
    labels: list[str],
    facts: Mapping[str, Any],
    livelier: float | None = None,
    asked: str = INT8.name,
) -> Final:
    """The files with their metadata: `facts` and what is found here.

    `asked`: which of them is calibrated and asked how sure it is; `judged_by`: one that has not learned `photos` and is asked
    instead; None: `files` have not. A refit has, and would look surer of them
    than it is of others. `livelier`: what phones report of their videos, as `frames.tune` takes it.
    """
    judge = judged_by or files[asked]
    again = temperature(classify(without_softmax(judge), photos.pixels), photos.truth)
    found = confidence(cooled(judge, again), photos, labels, livelier)
    converted = {**files, asked: cooled(files[asked], again)}
    return Final(
        {name: attach(file, {**facts, "format": name, "input": spec(name, _side(photos)), "confidence": found})
         for name, file in converted.items()},
        found,
        again,
    )  # fmt: skip


def confidence(int8: bytes, photos: Seen, labels: list[str], livelier: float | None) -> dict[str, Any]:
    """What a phone must know to say a label or “not sure”, JSON-ready: docs/how-a-phone-gets-a-model.md names each part."""
    scores = classify(int8, photos.pixels)
    below = not_sure_below(scores, photos.truth, precision=settings.SURE_PERCENT / 100)
    asked = partial(classify, int8)
    tuned = frames.tune(asked, photos.pixels, photos.truth, below, seed=SEED, livelier=livelier)
    return {
        "not_sure_below": below,
        "precision": settings.SURE_PERCENT / 100,
        "photos": len(photos),
        "calibration_error": report(scores, photos.truth, labels)["calibration_error"],
        "frames": tuned.as_json(),
    }


def spec(name: str, size: int) -> dict[str, Any]:
    """How to feed a file of this format: int8 files take a photo's bytes, the others the same numbers as floats."""
    return INPUT_SPEC(size) | ({} if name in BYTES_IN else {"dtype": "float32"})


def _side(photos: Seen) -> int:
    """Pixels of the side of the files' input."""
    return int(photos.pixels.shape[1])


# ---- conversion --------------------------------------------------------------------------------------------------
# For int8's ranges; each takes a tenth of a CPU second. Files made from 50, 100, 200 and 400 photos agreed with float32 on
# 97.0, 95.9, 96.6 and 97.6 % of 296 others: no difference beyond noise.
CALIBRATION_PHOTOS = 100


def converted(model: Any, *, calibration: np.ndarray, before: bytes | None) -> dict[str, bytes]:
    """The model's LiteRT files as `training.export` makes them, int8 settled (training.grid) near the int8 file `before` and
    with a quicker beginning (training.entry)."""
    from training.export import export

    files = export(model, calibration=calibration)
    return {**files, "int8": quickened(settled(files["int8"], files["float32"], calibration, before))}


# ---- what int8 ranges come from ----------------------------------------------------------------------------------
def calibration_rows(ids: list[str]) -> list[int]:
    """Which photos int8's ranges come from: those with the lowest SHA-256 of their id, in this order.

    So two nights choose the same but for photos that are new or gone, and where weights stayed the same, so do files.
    """
    return sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode()).digest())[:CALIBRATION_PHOTOS]


def calibration_digest(ids: list[str], pixels: np.ndarray) -> str:
    """SHA-256 (hex) of the ids and pixels, in their order."""
    digest = hashlib.sha256("\n".join(ids).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
