"""EVALUATE: runs an exported file, as a phone would, and says how good it is per label. Never loads TensorFlow."""

import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.comparison import calibration_error
from training.errors import ForeignModel, LabelMismatch, NothingToEvaluate
from training.images import Progress, load_examples

Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval
CONFUSIONS = 10  # pairs that a report lists
FOLDER_CHUNK = 64  # photos of a folder in memory at one time


def interpreter(model: bytes, *, threads: int = 1) -> Any:
    """A LiteRT interpreter with its tensors in place. Raises ForeignModel for what is not an image classifier of batch one."""
    from ai_edge_litert.interpreter import Interpreter  # a shared library: loaded where a model runs

    try:
        runner = Interpreter(model_content=model, num_threads=threads)
        runner.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ForeignModel(f"LiteRT cannot run the file ({error}). Pass a .tflite file that this project exported.") from error
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    image, scores = (tuple(side[0]["shape"]) if len(side) == 1 else () for side in (inputs, outputs))
    if len(image) != 4 or image[0] != 1 or image[1] != image[2] or image[3] != 3 or len(scores) != 2:
        raise ForeignModel(
            f"The model takes {[list(i['shape']) for i in inputs]} and gives {[list(o['shape']) for o in outputs]}; "
            "an image classifier takes one [1, size, size, 3] and gives one [1, labels]."
        )
    return runner


def inputs_outputs(model: bytes) -> dict[str, Any]:
    """{"input": {"shape", "dtype", "scale", "zero_point"}, "output": {…}} of an exported file, JSON-ready."""
    runner = interpreter(model)
    return {"input": _described(runner.get_input_details()[0]), "output": _described(runner.get_output_details()[0])}


def _described(detail: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = detail["quantization"]
    return {
        "shape": [int(size) for size in detail["shape"]],
        "dtype": np.dtype(detail["dtype"]).name,
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def classify(model: bytes, images: np.ndarray, *, threads: int = 1, progress: Progress | None = None) -> np.ndarray:
    """Probabilities float32 [n, labels] of `images` uint8 [n, s, s, 3] by the exported file itself, one image at a time.

    Integer inputs and outputs are quantized and dequantized by the file's own scales.
    """
    runner = interpreter(model, threads=threads)
    given, wanted = runner.get_input_details()[0], runner.get_output_details()[0]
    result = np.empty((len(images), int(wanted["shape"][1])), np.float32)
    for index, image in enumerate(images):
        runner.set_tensor(given["index"], _quantized(image, given)[None])
        runner.invoke()
        result[index] = _dequantized(runner.get_tensor(wanted["index"])[0], wanted)
        if progress and ((index + 1) % 64 == 0 or index + 1 == len(images)):
            progress("evaluating", index + 1, len(images))
    return result


def _quantized(image: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if dtype == image.dtype or not np.issubdtype(dtype, np.integer) or not scale:
        return image.astype(dtype)  # also uint8, whatever its scale: a network of bytes takes a photo's as they are
    limits = np.iinfo(dtype)
    levels: np.ndarray = np.round(image / scale + zero_point).clip(limits.min, limits.max).astype(dtype)
    return levels


def _dequantized(scores: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    if not np.issubdtype(scores.dtype, np.integer) or not scale:
        return scores.astype(np.float32)
    values: np.ndarray = (scores.astype(np.float32) - zero_point) * np.float32(scale)
    return values


def latency_ms(model: bytes) -> float:
    """Median milliseconds of one inference on one thread of this machine: 30 timed ones after 5 to warm up."""
    runner = interpreter(model)
    given = runner.get_input_details()[0]
    noise = np.random.default_rng(0).integers(0, 256, given["shape"], dtype=np.uint8)
    runner.set_tensor(given["index"], _quantized(noise[0], given)[None])
    spent = []
    for _ in range(35):
        started = time.perf_counter()
        runner.invoke()
        spent.append(time.perf_counter() - started)
    return round(float(np.median(spent[5:])) * 1000, 3)


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927): honest for small counts and near 0 and 1. (0, 1) where count is 0."""
    if count == 0:
        return 0.0, 1.0
    share, spread = right / count, Z95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def report(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """What `probabilities` [n, labels] say about photos whose labels are `truth` [n]; JSON-ready.

    Keys: n, right, accuracy, interval, per_label {label: {n, right, recall, interval}} (recall is None without photos),
    confusions [{truth, predicted, n}] most frequent first, calibration_error (expected, 10 bins; None without photos).
    """
    predicted = probabilities.argmax(axis=1)
    hits = predicted == truth
    wrong = Counter(zip(truth[~hits].tolist(), predicted[~hits].tolist(), strict=True))
    error = calibration_error(probabilities.max(axis=1, initial=0.0), hits)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    return {
        **_share("accuracy", hits),
        "per_label": {label: _share("recall", hits[truth == index]) for index, label in enumerate(labels)},
        "confusions": [{"truth": labels[t], "predicted": labels[p], "n": n} for (t, p), n in ranked],
        "calibration_error": None if error is None else round(error, 4),
    }


def _share(name: str, hits: np.ndarray) -> dict[str, Any]:
    right, count = int(hits.sum()), len(hits)
    low, high = wilson(right, count)
    share = round(right / count, 4) if count else None
    return {"n": count, "right": right, name: share, "interval": [round(low, 4), round(high, 4)]}


# ---- any file on any folder --------------------------------------------------------------------------------------
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}  # what intake takes


def evaluate_folder(model: bytes, folder: Path, *, labels: Sequence[str] | None, progress: Progress) -> dict[str, Any]:
    """Report on the photos in `folder`/<label>/ (see `report`), with "skipped": {folder that is no label of the model: photos}.

    `labels` are the model's, in the order of its outputs; None: the sorted names of the folders. Photos are prepared a few at a
    time. Raises LabelMismatch, NothingToEvaluate, ForeignModel, UnreadablePhoto.
    """
    io = inputs_outputs(model)
    files = photos_by_label(folder)
    labels = list(labels) if labels is not None else sorted(files)
    outputs = io["output"]["shape"][1]
    if outputs != len(labels):
        raise LabelMismatch(
            f"The model has {outputs} outputs and there are {len(labels)} labels. Pass its labels, in order, "
            "with --labels FILE (a JSON list).",
            outputs=outputs,
            labels=len(labels),
        )
    skipped = {label: len(paths) for label, paths in files.items() if label not in labels}
    rows = [(path, index) for index, label in enumerate(labels) for path in files.get(label, [])]
    if not rows:
        raise NothingToEvaluate(f"No folder in {folder} is named like one of the model's labels: {', '.join(labels[:8])}, …")
    answers = []
    for start in range(0, len(rows), FOLDER_CHUNK):
        chunk = [(str(path), str(path), index) for path, index in rows[start : start + FOLDER_CHUNK]]
        examples = load_examples(
            chunk, read=lambda key: Path(key).read_bytes(), size=io["input"]["shape"][1], progress=lambda *_: None
        )
        answers.append(classify(model, examples.images))
        progress("evaluating", start + len(chunk), len(rows))
    truth = np.array([index for _, index in rows], np.int64)
    return {**report(np.concatenate(answers), truth, labels), "skipped": skipped}


def photos_by_label(folder: Path) -> dict[str, list[Path]]:
    """Folder name → its photos, both sorted. Raises NothingToEvaluate where there is no folder of photos."""
    if not folder.is_dir():
        raise NothingToEvaluate(f"{folder} is no folder. Pass a folder with one folder of photos per label.")
    found = {
        inner.name: sorted(path for path in inner.iterdir() if path.suffix.lower() in SUFFIXES)
        for inner in sorted(folder.iterdir())
        if inner.is_dir()
    }
    found = {label: paths for label, paths in found.items() if paths}
    if not found:
        raise NothingToEvaluate(f"{folder} holds no folders of JPEG, PNG or WebP photos: make one per label, named like it.")
    return found
