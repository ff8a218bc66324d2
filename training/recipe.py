"""FINE-TUNE, on paper: every number that decides what a night does, in one frozen record with a digest."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random views that are made of a prepared photo; each is drawn uniformly."""

    zoom: tuple[float, float]  # side of the square that is looked at, as a share of the photo's
    shift: float  # ± share of the free margin (or of the missing one, where zoom > 1) by which that square moves
    turn: float  # ± degrees
    flip: bool  # left-right; not where numerals or letters tell labels apart
    brightness: float  # ± share of the full range, added
    contrast: float  # ± share, around the view's mean
    tint: float  # ± share, each colour channel by itself
    erase: float  # probability that a rectangle of up to a third of each side is greyed out


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one night. Rates are Adam's peak rates; both phases warm up and then decay by a cosine to zero."""

    name: str
    image_size: int  # pixels; the exported model's input
    boundary: str  # activations of this layer are cached; what follows is fine-tuned. Unused from scratch.
    alpha: float  # width where the backbone brings none, i.e. from scratch
    views: int  # of each training photo in the cache: the centre view and augmented ones
    head_epochs: int  # over all cached views' pooled features
    head_rate: float
    top_epochs: int  # passes over the photos, each by another cached view (from scratch: a fresh view)
    top_rate: float  # above 5e-4 frozen batch statistics make the top diverge to chance level
    batch: int
    weight_decay: float
    label_smoothing: float
    dropout: float
    bn_momentum: float  # from scratch only; Keras' 0.999 needs thousands of steps and stays at chance here
    augmentation: Augmentation
    cache_bytes: int  # above this the cache of activations lies in a temporary file instead of in memory
    seed: int

    def as_json(self) -> dict[str, Any]:
        """JSON-ready: lists instead of tuples."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def digest(self) -> str:
        """SHA-256 (hex) over every field: another number, another digest."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


def head_then_top() -> Recipe:
    """For a backbone with ImageNet weights: a head on its frozen features, then its top blocks, from cached activations.

    `BACKBONE_WEIGHTS=<file, width 0.35> manage.py nightly --recognizer groceries`
    Expect, with 1,848 training photos of 81 labels (Grocery Store Dataset) and 396 held out, split by file: 93 % of the
    validation photos with the head alone, 95 to 97 % with the top blocks; held out 95.5 % float32, 94.2 % int8. 300 CPU
    seconds, 1.7 GB. Photos of one shelf lie on both sides of such a split; in another shop expect less.
    """
    return Recipe(
        name="head, then top blocks",
        image_size=224,
        boundary="block_12_add",
        alpha=1.0,
        views=8,
        head_epochs=20,
        head_rate=2e-3,
        top_epochs=24,
        top_rate=4e-4,
        batch=32,
        weight_decay=1e-4,
        label_smoothing=0.1,
        dropout=0.3,
        bn_momentum=0.9,
        augmentation=Augmentation(
            zoom=(0.6, 1.0), shift=1.0, turn=12, flip=True, brightness=0.1, contrast=0.15, tint=0.08, erase=0.0
        ),
        cache_bytes=2 * 2**30,
        seed=20_261_122,
    )


def from_scratch() -> Recipe:
    """Where no weights can be had: the whole small network from random weights, on small input.

    `BACKBONE_WEIGHTS=none make demo`
    Expect, with 480 training photos of 6 labels (`demo.currency`): 98 to 99 % of some 120 held-out ones (three runs), int8
    like float32. 150 CPU seconds, 1.2 GB.
    """
    return Recipe(
        name="from scratch",
        image_size=96,
        boundary="block_12_add",
        alpha=0.35,
        views=1,
        head_epochs=0,
        head_rate=0.0,
        top_epochs=24,
        top_rate=6e-3,
        batch=32,
        weight_decay=1e-3,
        label_smoothing=0.1,
        dropout=0.1,
        bn_momentum=0.9,
        augmentation=Augmentation(
            zoom=(0.8, 1.15), shift=1.0, turn=20, flip=False, brightness=0.1, contrast=0.15, tint=0.06, erase=0.0
        ),
        cache_bytes=2 * 2**30,
        seed=20_261_122,
    )


def pick(pretrained: bool) -> Recipe:
    """The recipe that fits the backbone: does it bring weights?"""
    return head_then_top() if pretrained else from_scratch()
