"""What phones download and run: size, latency and accuracy of each format beside stock networks, and what an update costs.

`PHOTOS=<folder with train/<label>/ and val/<label>/> BACKBONE_WEIGHTS=<file> make bench PART=model`

Two pairs of nights are imitated by their own recipes, on one centre view of each photo instead of eight random ones: a head
alone, and everything behind the boundary, of which the second night begins with the first one's weights; each second night has
BENCH_NEW more photos. Stock networks are `keras.applications`' own with random weights, exported as Keras' guide says: they
have sizes and latencies, and recognise nothing.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import claim, machine, needed, whole
from bench._nights import Photos

THREADS = (1, 2)
SIZES, LATENCY, LOSS, HEAD, TOP = 0.31, 0.55, 1.0, 3.5, 18.0  # goals


def measure() -> dict[str, Any]:
    """Ten minutes of CPU with 2,640 photos and a network of width 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from training import process

    os.environ.update({**process.ENVIRONMENT, **os.environ})  # a night's own, read when TensorFlow is loaded
    folder, weights = Path(needed("PHOTOS", "model")), needed("BACKBONE_WEIGHTS", "model")
    photos = Photos(folder, weights)
    nights = photos.nights()
    files = {**nights["top blocks, again"], **_stock(photos.size)}
    latencies = _latencies(files, rounds=whole("BENCH_ROUNDS", 40, 5))
    hits = {name: photos.hits(file) for name, file in nights["top blocks, again"].items()}
    updates = {
        "head": _update(nights["head"]["int8"], nights["head, again"]["int8"]),
        "top blocks": _update(nights["top blocks"]["int8"], nights["top blocks, again"]["int8"]),
        **{
            f"top blocks, {name}": _update(nights["top blocks"][name], nights["top blocks, again"][name])
            for name in photos.small
        },
        "the same again": _update(nights["top blocks, again"]["int8"], nights["top blocks, again"]["int8"]),
    }
    return {
        "part": "model",
        "settings": {
            **machine(),
            "labels": len(photos.labels),
            "photos": len(photos.train),
            "held out": len(photos.truth),
            "pixels": photos.size,
        },
        "rows": [
            *_format_rows(files, latencies, hits),
            *({"update": name, "bytes": done, "%_of_file": round(100 * share, 2)} for name, (done, share) in updates.items()),
        ],
        "claims": _claims(files, latencies, hits, updates),
    }


# ---- stock networks ----------------------------------------------------------------------------------------------
def _stock(size: int) -> dict[str, bytes]:
    """`keras.applications`' networks for a thousand classes, by `model.export(format="litert")`."""
    import keras

    made = {}
    shape = (size, size, 3)
    for name, build in {"V2": keras.applications.MobileNetV2, "V3-small": keras.applications.MobileNetV3Small}.items():
        keras.utils.set_random_seed(1)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place, "model.tflite")
            build(weights=None, input_shape=shape).export(str(path), format="litert", verbose=False)
            made[f"stock {name}"] = path.read_bytes()
    return made


# ---- figures -----------------------------------------------------------------------------------------------------
def _latencies(files: Mapping[str, bytes], rounds: int) -> dict[tuple[str, int], float]:
    """(file, threads) → median milliseconds of an inference; the files take turns, so that a busy moment meets them all."""
    from ai_edge_litert.interpreter import Interpreter

    ready, took = {}, {(name, threads): [] for name in files for threads in THREADS}
    for name, threads in took:
        runner = Interpreter(model_content=files[name], num_threads=threads)
        given = runner.get_input_details()[0]
        if given["shape"][0] != 1:
            runner.resize_tensor_input(given["index"], [1, *given["shape"][1:]])
        runner.allocate_tensors()
        noise = np.random.default_rng(0).integers(0, 256, runner.get_input_details()[0]["shape"])
        runner.set_tensor(given["index"], noise.astype(given["dtype"]))
        ready[name, threads] = runner
    for turn in range(rounds + 3):
        for key, runner in ready.items():
            began = time.perf_counter()
            runner.invoke()
            if turn >= 3:
                took[key].append(1000 * (time.perf_counter() - began))
    return {key: float(np.median(times)) for key, times in took.items()}


def _update(old: bytes, new: bytes) -> tuple[int, float]:
    """(bytes of the body that brings `new` to who has `old`, their share of the file)."""
    from training.deltas import difference

    done = len(difference(new, old))
    return done, done / len(new)


def _format_rows(
    files: Mapping[str, bytes], latencies: Mapping[tuple[str, int], float], hits: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    return [
        {
            "file": name,
            "bytes": len(file),
            **{f"ms_{threads}_threads": round(latencies[name, threads], 2) for threads in THREADS},
            "recognised_%": round(100 * float(hits[name].mean()), 2) if name in hits else "random weights",
        }
        for name, file in files.items()
    ]


def _claims(
    files: Mapping[str, bytes],
    latencies: Mapping[tuple[str, int], float],
    hits: Mapping[str, np.ndarray],
    updates: Mapping[str, tuple[int, float]],
) -> list[dict[str, Any]]:
    from training.comparison import paired_loss

    loss = paired_loss(hits["float32"], hits["int8"])
    interval = f"95 % interval {100 * loss.low:+.1f} … {100 * loss.high:+.1f}"
    return [
        claim("int8's share of float32's bytes", lambda: len(files["int8"]) / len(files["float32"]), SIZES, at_least=False),
        claim(
            "int8's share of float32's latency, one thread",
            lambda: latencies["int8", 1] / latencies["float32", 1],
            LATENCY,
            at_least=False,
        ),
        claim(f"points that int8 loses on held-out photos ({interval})", lambda: 100 * loss.loss, LOSS, at_least=False),
        claim("% of the file that a head-only night updates", lambda: 100 * updates["head"][1], HEAD, at_least=False),
        claim("% of the file that a top-blocks night updates", lambda: 100 * updates["top blocks"][1], TOP, at_least=False),
    ]
