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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import QUICK, claim, machine, needed, say, whole

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
    photos = _Photos(folder, weights)
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


# ---- two pairs of nights -----------------------------------------------------------------------------------------
class _Photos:
    """The photos as the recipes want them, and the nights that learn from them."""

    def __init__(self, folder: Path, weights: str) -> None:
        from training import tiers
        from training.backbone import find_backbone
        from training.evaluate import photos_by_label
        from training.recipe import top_blocks

        self.recipe = replace(top_blocks(), views=1)
        self.size = self.recipe.image_size
        self.backbone = find_backbone(weights, decision_s=1)
        by_label = {part: photos_by_label(folder / part) for part in ("train", "val")}
        self.labels = sorted(by_label["train"])[: whole("BENCH_LABELS", 10**6, 4)]
        most = whole("BENCH_PHOTOS", 10**6, 20)
        rows = {
            part: [(str(path), at) for at, label in enumerate(self.labels) for path in found.get(label, [])[:most]]
            for part, found in by_label.items()
        }
        self.train = self._seen(rows["train"])
        self.held, self.truth = rows["val"], np.array([at for _, at in rows["val"]])
        self.small = {"int8-small": size} if (size := tiers.side(self.size)) else {}

    @staticmethod
    def _pixels(rows: list[tuple[str, int]], size: int) -> np.ndarray:
        from training.images import load_examples

        given = [(path, path, at) for path, at in rows]
        return load_examples(given, read=lambda key: Path(key).read_bytes(), size=size, progress=lambda *_: None).images

    def _seen(self, rows: list[tuple[str, int]]) -> Any:
        from training.finetune import network_of
        from training.network import eye_of
        from training.seen import Seen
        from training.weights import Start

        say(f"{len(rows)} photos through the frozen part")
        views = self._pixels(rows, self.recipe.view_size)
        eye = eye_of(network_of(Start(self.backbone, None), self.recipe, self.recipe.view_size), self.recipe.boundary)
        parts = [eye.predict_on_batch(views[at : at + 32].astype(np.float32)) for at in range(0, len(views), 32)]
        activations = np.concatenate([np.asarray(part[0], np.float16) for part in parts])
        features = np.concatenate([np.asarray(part[1], np.float16) for part in parts])
        ids = [path for path, _ in rows]
        truth = np.array([at for _, at in rows], np.int64)
        return Seen(ids, ids, truth, self._pixels(rows, self.size), activations=activations[:, None], features=features)

    def nights(self) -> dict[str, dict[str, bytes]]:
        """Night → its files."""
        from training.recipe import head_only, top_blocks_again
        from training.seen import parted
        from training.weights import Start

        new = np.zeros(len(self.train), bool)
        new[np.random.default_rng(1).permutation(len(new))[: whole("BENCH_NEW", 100, 8)]] = True
        old, _ = parted(self.train, new)
        fresh = Start(self.backbone, None)
        head = replace(head_only(), views=1)
        epochs = {"top_epochs": 1} if QUICK else {}
        nights: dict[str, dict[str, bytes]] = {}
        first, nights["head"] = self._night(head, fresh, old)
        longer, before = replace(head, head_epochs=4, head_rate=5e-4), nights["head"]
        _, nights["head, again"] = self._night(longer, Start(self.backbone, first), self.train, before)
        first, nights["top blocks"] = self._night(replace(self.recipe, **epochs), fresh, old)
        again = replace(top_blocks_again(), views=1, **epochs)
        _, nights["top blocks, again"] = self._night(again, Start(self.backbone, first), self.train, nights["top blocks"])
        return nights

    def _night(
        self, recipe: Any, start: Any, train: Any, before: Mapping[str, bytes] | None = None
    ) -> tuple[Any, dict[str, bytes]]:
        """(weights, files) of a training with these photos; `before`: the files of the night before."""
        from training import finish, tiers
        from training.finetune import learn
        from training.network import assemble, restored
        from training.weights import Fit, Weights

        began = time.process_time()
        network, head, _, _ = learn(recipe, start, train=train, labels=self.labels, progress=lambda *_: None)
        fit = Fit(self.backbone.digest, self.backbone.digest, self.backbone.alpha, self.size, self.labels)
        weights = Weights(fit, network.get_weights(), head.get_weights(), {})
        calibration = train.pixels[finish.calibration_rows(train.ids)]
        files = finish.converted(assemble(*restored(weights))[0], calibration=calibration, before=(before or {}).get("int8"))
        for name, size in self.small.items():
            model = assemble(*restored(weights, size))[0]
            fed, older = tiers.smaller(calibration, size), (before or {}).get(name)
            files[name] = finish.converted(model, calibration=fed, before=older)["int8"]
        say(f"{recipe.name}: {time.process_time() - began:.0f} CPU s")
        return weights, files

    def hits(self, file: bytes) -> np.ndarray:
        """bool [held out]: recognised by this file, of photos as a phone makes them for it."""
        from training.evaluate import classify, inputs_outputs

        size = int(inputs_outputs(file)["input"]["shape"][1])
        return np.asarray(classify(file, self._pixels(self.held, size)).argmax(axis=1) == self.truth)


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
