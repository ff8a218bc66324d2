"""What PART=crowd stands on: real photos with frozen features, a head to train on them, a dishonest account, a sticker."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from training.embed import Embedded


@dataclass(frozen=True)
class Material:
    """All photos: `images` uint8 [n, s, s, 3], pooled features float32 [n, d] of the frozen backbone, `truth` int64 [n]."""

    images: np.ndarray
    features: np.ndarray
    truth: np.ndarray
    labels: list[str]


@dataclass(frozen=True)
class Row:
    """One training photo as the caps see it; `photo` is its place in the material."""

    photo: str
    label: str
    group: str


# (material, training rows, their labels as claimed, rows to answer for, seed) → probabilities float32 [rows, labels]
Trainer = Callable[[Material, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def material(folders: list[Path], weights: str, size: int, most: int) -> tuple[Material, object]:
    """(photos of `folders`/<label>/, at most `most` a label; the Keras backbone whose pooled features they carry)."""
    from training.backbone import find_backbone
    from training.evaluate import photos_by_label
    from training.images import load_examples
    from training.network import build_backbone

    files: dict[str, list[Path]] = {}
    for folder in folders:
        for label, paths in photos_by_label(folder).items():
            files[label] = (files.get(label, []) + paths)[:most]
    labels = sorted(files)
    rows = [(str(path), str(path), index) for index, label in enumerate(labels) for path in files[label]]
    examples = load_examples(rows, read=lambda key: Path(key).read_bytes(), size=size, progress=lambda *_: None)
    backbone = find_backbone(weights, decision_s=10)
    network = build_backbone(backbone, size, alpha=backbone.alpha, bn_momentum=0.9)
    return Material(examples.images, embedded(network, examples.images).features, examples.truth, labels), network


def embedded(
    network: object, images: np.ndarray, claimed: np.ndarray | None = None, head: tuple[np.ndarray, np.ndarray] | None = None
) -> "Embedded":
    """How the backbone sees images; with a `head`, also where in each it finds the label that is `claimed`."""
    from training.embed import embed
    from training.seen import Seen

    weights, bias = head or (np.zeros((network.output_shape[-1], 2), np.float32), np.zeros(2, np.float32))  # type: ignore[attr-defined]
    truth = np.zeros(len(images), np.int64) if claimed is None else claimed
    ids = list(map(str, range(len(images))))
    seen = Seen(ids, ids, truth, images)
    return embed(network, keras_head(weights, bias), "", {"all": seen})["all"]  # type: ignore[arg-type]


def halves(truth: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows to train on, rows to judge by): half of each label's photos, drawn by the seed."""
    rng = np.random.default_rng(seed)
    train = np.concatenate([(rows := rng.permutation(np.flatnonzero(truth == c)))[: len(rows) // 2] for c in np.unique(truth)])
    return np.sort(train), np.setdiff1d(np.arange(len(truth)), train)


# ---- the stand-in for a night: softmax regression on frozen features ----------------------------------------------
def head_only(material: Material, rows: np.ndarray, claimed: np.ndarray, held: np.ndarray, seed: int) -> np.ndarray:
    return answers(fitted(material.features[rows], claimed, len(material.labels)), material.features[held])


def fitted(features: np.ndarray, claimed: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights [d, labels], bias [labels]) by Adam over all rows at once: the same rows give the same head."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 0.05
    inputs, wanted = (features - mean) / spread, np.eye(labels, dtype=np.float32)[claimed]
    weights = np.zeros((features.shape[1] + 1, labels), np.float32)
    inputs = np.column_stack([inputs, np.ones(len(inputs), np.float32)]).astype(np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, 151):
        slope = inputs.T @ (_softmax(inputs @ weights) - wanted) / len(inputs) + 1e-4 * weights
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        weights -= 0.01 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    scaled = weights[:-1] / spread[:, None]
    return scaled, weights[-1] - mean @ scaled


def answers(head: tuple[np.ndarray, np.ndarray], features: np.ndarray) -> np.ndarray:
    return _softmax(features @ head[0] + head[1]).astype(np.float32)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def trainer() -> tuple[str, Trainer]:
    """CROWD_TRAINER="package.module:function" plugs in another one, e.g. the night's own recipe; see `Trainer`."""
    name = os.environ.get("CROWD_TRAINER", "").strip()
    if not name:
        return "softmax regression on frozen features, a stand-in for the night's own recipe", head_only
    module, _, function = name.partition(":")
    found: Trainer = getattr(import_module(module), function)
    return name, found


def exported(network: object, head: tuple[np.ndarray, np.ndarray], calibration: np.ndarray) -> bytes:
    """The int8 file of the backbone with this head."""
    from training.export import export
    from training.network import assemble

    return export(assemble(network, keras_head(*head))[0], calibration=calibration)["int8"]  # type: ignore[arg-type]


def keras_head(weights: np.ndarray, bias: np.ndarray) -> "keras.Sequential":
    from training.network import head

    layer = head(*weights.shape, dropout=0.0, seed=0)
    layer.get_layer("logits").set_weights([weights, bias])
    return layer


# ---- the crowd ---------------------------------------------------------------------------------------------------
def crowd(material: Material, rows: np.ndarray, mallory: np.ndarray, seed: int, *, people: int = 150) -> list[Row]:
    """The rows as photos of `people` volunteers, some busier than others, and of Mallory, who sent rows `mallory`."""
    rng = np.random.default_rng(seed)
    busy = rng.lognormal(0, 1, people)
    sender = rng.choice(people, len(rows), p=busy / busy.sum())
    bad = set(mallory.tolist())
    return [
        Row(str(row), material.labels[material.truth[row]], f"{'mallory' if row in bad else f'v{who}'}/{row}")
        for row, who in zip(rows.tolist(), sender.tolist(), strict=True)
    ]


def flipped(truth: np.ndarray, labels: int, rng: np.random.Generator, *, target: int | None) -> np.ndarray:
    """Another label for each: `target` for all (its own photos get the next one), or any other one."""
    if target is None:
        return (truth + rng.integers(1, labels, len(truth))) % labels
    return np.where(truth == target, (target + 1) % labels, target)


def stickered(images: np.ndarray, seed: int) -> np.ndarray:
    """Each image with the same sticker, a seventh of its side, somewhere: four by four blocks of loud colours."""
    rng = np.random.default_rng(seed)
    size = images.shape[1]
    block = size // 28
    sticker = np.kron(rng.integers(0, 2, (4, 4, 3)) * 255, np.ones((block, block, 1))).astype(np.uint8)
    result = images.copy()
    for image in result:
        top, left = rng.integers(0, size - len(sticker), 2)
        image[top : top + len(sticker), left : left + len(sticker)] = sticker
    return result
