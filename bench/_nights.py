"""Two pairs of nights, imitated by their own recipes on photos of a folder."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import QUICK, say, whole


class Photos:
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
    def pixels(rows: list[tuple[str, int]], size: int) -> np.ndarray:
        from training.images import load_examples

        given = [(path, path, at) for path, at in rows]
        return load_examples(given, read=lambda key: Path(key).read_bytes(), size=size, progress=lambda *_: None).images

    def _seen(self, rows: list[tuple[str, int]]) -> Any:
        from training.finetune import network_of
        from training.network import eye_of
        from training.seen import Seen
        from training.weights import Start

        say(f"{len(rows)} photos through the frozen part")
        views = self.pixels(rows, self.recipe.view_size)
        eye = eye_of(network_of(Start(self.backbone, None), self.recipe, self.recipe.view_size), self.recipe.boundary)
        parts = [eye.predict_on_batch(views[at : at + 32].astype(np.float32)) for at in range(0, len(views), 32)]
        activations = np.concatenate([np.asarray(part[0], np.float16) for part in parts])
        features = np.concatenate([np.asarray(part[1], np.float16) for part in parts])
        ids = [path for path, _ in rows]
        truth = np.array([at for _, at in rows], np.int64)
        return Seen(ids, ids, truth, self.pixels(rows, self.size), activations=activations[:, None], features=features)

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
        first, nights["head"] = self.night(head, fresh, old)
        longer, before = replace(head, head_epochs=4, head_rate=5e-4), nights["head"]
        _, nights["head, again"] = self.night(longer, Start(self.backbone, first), self.train, before)
        first, nights["top blocks"] = self.night(replace(self.recipe, **epochs), fresh, old)
        again = replace(top_blocks_again(), views=1, **epochs)
        _, nights["top blocks, again"] = self.night(again, Start(self.backbone, first), self.train, nights["top blocks"])
        return nights

    def night(
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
        return np.asarray(classify(file, self.pixels(self.held, size)).argmax(axis=1) == self.truth)
