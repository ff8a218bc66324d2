"""EXPORT, before anybody decides: which width, input size and format suit a recognizer's phones? Each is trained and tried.

Training is a first night's (`recipe.top_blocks`) at that size; every figure comes from the exported file itself. A head alone
would be quicker and rank otherwise: of the Grocery Store Dataset's test photos it recognised 72 % on width 0.35 and 70 % on
1.0, where the top blocks gave 79 and 84 %.
"""

import gc
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from collector.models import Photo, Recognizer
from config.files import write_whole
from training import finish, snapshot
from training.backbone import Backbone
from training.evaluate import classify, latency_ms
from training.groups import linked
from training.images import Progress
from training.looks import LOOKING, Eye
from training.pareto import Network
from training.recipe import Recipe, head_only, top_blocks
from training.seen import Collected, Seen, Wanted

SIZES = (128, 160, 192, 224, 256)  # pixels; MobileNetV2's usual ones
LEAST_SIZE = 64  # pixels; Keras builds it from 32 on, and random views are smaller than the photo
READERS = 4  # threads that fetch photos while the network looks at others


@dataclass(frozen=True)
class Photos:
    """The accepted photos to learn from and to judge by; `scenes` int [n] number what belongs together among the latter."""

    labels: list[str]
    train: list[Wanted]
    test: list[Wanted]

    @property
    def scenes(self) -> np.ndarray:
        return linked([each.group for each in self.test])

    def digest(self) -> str:
        facts = [self.labels, [vars(each) for each in (*self.train, *self.test)]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def photos_of(recognizer: Recognizer) -> Photos:
    """The photos as tonight's night would divide them. Raises what taking a snapshot and its classes raise."""
    entries = snapshot.read(snapshot.take(recognizer=recognizer))
    labels = snapshot.classes(entries, list(recognizer.labels.all())).labels
    index = {slug: position for position, slug in enumerate(labels)}

    def of(split: str) -> list[Wanted]:
        rows = [each for each in entries if each.split == split and each.label in index]
        return [Wanted(each.photo, each.view, each.group, index[each.label]) for each in rows]

    return Photos(labels, of(Photo.Split.TRAIN), of(Photo.Split.TEST))


def recipe_of(backbone: Backbone, size: int, *, quick: bool) -> Recipe:
    """A first night from `backbone` for an input of `size` pixels, views and sources in the usual proportion; `quick`: the head
    alone."""
    usual = head_only() if quick else top_blocks()
    view, source = (round(size * part / usual.image_size) for part in (usual.view_size, usual.source_size))
    return replace(usual, alpha=backbone.alpha, image_size=size, view_size=view, source_size=source)


def search(
    photos: Photos,
    *,
    backbones: Sequence[Backbone],
    sizes: Sequence[int],
    quick: bool,
    read: Callable[[str], bytes],
    kept: Path,
    progress: Progress,
) -> Iterator[Network]:
    """Every network, as it is done. What was tried before of the same photos, weights and recipe is read from the folder
    `kept`: a search that was interrupted goes on. Raises MissingObject, UnreadablePhoto, TrainingDiverged.
    """
    for backbone in backbones:
        for size in sizes:
            recipe = recipe_of(backbone, size, quick=quick)
            name = hashlib.sha256(f"{photos.digest()} {backbone.digest} {recipe.digest()}".encode()).hexdigest()[:32]
            path = kept / f"{name}.json"
            if not path.exists():
                found = _tried(photos, backbone, recipe, read, progress)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps([_as_json(each) for each in found]).encode())
            yield from (_from_json(each) for each in json.loads(path.read_text()))


def _tried(
    photos: Photos, backbone: Backbone, recipe: Recipe, read: Callable[[str], bytes], progress: Progress
) -> list[Network]:
    import keras

    from training.finetune import finetune
    from training.network import assemble, restored
    from training.weights import Start

    start = Start(backbone, None)
    eye = _eye(start, recipe)
    train = _seen(eye, photos.train, recipe, read, held_out=False, progress=progress)
    test = _seen(eye, photos.test, recipe, read, held_out=True, progress=progress)
    # The test photos are no choice here: nothing is chosen before all networks are there, and by whoever reads the table.
    trained = finetune(recipe, start, train=train, validation=test, labels=photos.labels, progress=progress).weights
    model, _ = assemble(*restored(trained))
    files = finish.converted(model, calibration=train.pixels[finish.calibration_rows(train.ids)], before=None)
    keras.backend.clear_session()  # or the network of each turn stays in memory
    gc.collect()
    return [_measured(backbone.alpha, recipe.image_size, name, data, test) for name, data in files.items()]


def _measured(width: float, size: int, name: str, data: bytes, test: Seen) -> Network:
    right = classify(data, test.pixels).argmax(axis=1) == test.truth
    return Network(width, size, name, right, len(data), latency_ms(data))


def _eye(start: Any, recipe: Recipe) -> Eye:
    from training.export import export_float
    from training.finetune import network_of
    from training.network import eye_of, trunk_of

    front = export_float(trunk_of(network_of(start, recipe, recipe.view_size), recipe.boundary))
    whole = export_float(eye_of(network_of(start, recipe, recipe.image_size), recipe.boundary))
    return Eye(front, whole, {name: recipe.as_json()[name] for name in LOOKING})


def _seen(
    eye: Eye, rows: Sequence[Wanted], recipe: Recipe, read: Callable[[str], bytes], *, held_out: bool, progress: Progress
) -> Seen:
    collected = Collected(rows, recipe, held_out=held_out)
    with ThreadPoolExecutor(READERS) as pool:
        looks = pool.map(lambda each: eye.look(read(each.view), each.photo, held_out=held_out), rows)
        for index, look in enumerate(looks):
            collected.take(index, look)
            progress(f"looking at photos, {recipe.image_size} pixels", index + 1, len(rows))
    return collected.seen()


def _as_json(network: Network) -> dict[str, Any]:
    return vars(network) | {"right": network.right.tolist()}


def _from_json(kept: dict[str, Any]) -> Network:
    return Network(**kept | {"right": np.array(kept["right"], bool)})
