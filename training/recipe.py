"""FINE-TUNE, on paper: every number that decides what a night does, in frozen records with a digest; one recipe per way."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Learns = Literal["head", "top", "all"]
SEED = 20_261_122


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random views that are made of a prepared photo, drawn uniformly: how people hold phones, and no more.

    Turning stays within 45 degrees: beyond it a photo shows what no phone sends.
    """

    zoom: tuple[float, float]  # side of the square that is looked at, as a share of the photo's
    shift: float  # ± share of the free margin (or of the missing one, where zoom > 1) by which that square moves
    turn: float  # ± degrees
    stretch: float  # ± share by which the width is stretched: photos are taken at an angle
    flip: bool  # left-right; not where numerals or letters tell labels apart
    brightness: float  # ± share of the full range, added
    contrast: float  # ± share, around the view's mean
    tint: float  # ± share, each colour channel by itself
    blur: float  # pixels; the largest sigma of a Gaussian blur, which every third view gets

    def without(self, off: Mapping[str, bool]) -> "Augmentation":
        """The same without what a recognizer switched off: `off` has "crops", "turns", "mirror", "exposure", "blur"."""
        changes: dict[str, Any] = {}
        if off.get("crops"):
            changes |= {"zoom": (1.0, 1.0), "shift": 0.0, "stretch": 0.0}
        if off.get("turns"):
            changes |= {"turn": 0.0}
        if off.get("mirror"):
            changes |= {"flip": False}
        if off.get("exposure"):
            changes |= {"brightness": 0.0, "contrast": 0.0, "tint": 0.0}
        if off.get("blur"):
            changes |= {"blur": 0.0}
        return replace(self, **changes)


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one way to train. Rates are AdamW's peaks: a phase warms up, then falls by a cosine to zero."""

    name: str
    learns: Learns  # "head" on frozen features; "top": everything behind `boundary`; "all": every layer, from pixels
    image_size: int  # pixels; the exported model's input
    # Pixels; the random views it learns from. Smaller than what it is used on: things look larger in cut-out views than in
    # whole photos, and a network does best on the size it has learned (Touvron et al., "Fixing the train-test resolution
    # discrepancy", NeurIPS 2019).
    view_size: int
    source_size: int  # pixels; side of the prepared photo that random views are cut from: more than a view keeps them sharp
    boundary: str  # activations of this layer are cached; what follows can learn. Unused where all layers learn.
    alpha: float  # width where the backbone brings none, i.e. from scratch
    views: int  # random ones of each photo in the cache
    head_epochs: int  # over the photos' features as the untrained network has them; 0 where the head has learned already
    head_rate: float
    top_epochs: int  # passes over the photos, each by a view of the cache drawn anew (where all layers learn: a fresh view)
    top_rate: float  # above 5e-4 frozen batch statistics make the top diverge to chance level
    # Of that rate, what the head gets beside other layers. From random weights less: it sums over a thousand features that are
    # all positive, so one step of Adam would move its answers by more than they differ, and what it is fed dies of that.
    head_share: float
    batch: int
    weight_decay: float
    label_smoothing: float
    dropout: float
    average: float  # decay of the running average of the weights that is kept in the end; 0: the last weights
    mix: float  # strength (alpha of its Beta distribution) of mixing two photos of a batch; 0: never
    statistics: bool  # batch normalisation learns its statistics anew: only where all layers learn from random weights
    bn_momentum: float  # of those; Keras' 0.999 needs thousands of steps and stays at chance here
    refit: bool  # once chosen, it is trained again on the validation photos as well
    augmentation: Augmentation
    cache_bytes: int  # above this, what is loaded from the cache lies in a temporary file instead of in memory
    device: str  # TensorFlow's name of where the steps run, e.g. "/GPU:0"; "": a GPU where there is one
    seed: int

    def as_json(self) -> dict[str, Any]:
        """JSON-ready: lists instead of tuples."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def digest(self) -> str:
        """SHA-256 (hex) over every field: another number, another digest."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


GENTLE = Augmentation(
    zoom=(0.55, 1.0), shift=1.0, turn=15, stretch=0.12, flip=True, brightness=0.12, contrast=0.2, tint=0.08, blur=0.0
)


def top_blocks() -> Recipe:
    """A first night: a head on the frozen features, then everything behind `block_12_add`, from cached views.

    `BACKBONE_WEIGHTS=<file, width 1.0> manage.py nightly --recognizer groceries`
    Expect, with 2,376 training photos of 81 labels (Grocery Store Dataset) and a set of 296 taken elsewhere, in trainings that
    differ in rounding alone: 78.7 to 81.4 % float32, 78.7 to 79.4 % int8; 81.1 to 83.7 % of 264 photos of other scenes. With
    the views in the cache, the whole night takes about 310 CPU seconds, 180 of them here.
    """
    return Recipe(
        name="top blocks",
        learns="top",
        image_size=256,
        view_size=224,
        source_size=288,
        boundary="block_12_add",
        alpha=1.0,
        views=8,
        head_epochs=20,
        head_rate=2e-3,
        top_epochs=7,
        top_rate=5e-4,
        head_share=1.0,
        batch=32,
        weight_decay=1e-4,
        label_smoothing=0.1,
        dropout=0.3,
        average=0.99,
        mix=0.0,
        statistics=False,
        bn_momentum=0.9,
        refit=False,
        augmentation=GENTLE,
        cache_bytes=2 * 2**30,
        device="",
        seed=SEED,
    )


def head_only() -> Recipe:
    """The simplest way: a head on the frozen network's features of the cached views. Seconds; the choice with few photos.

    `BACKBONE_WEIGHTS=<file> manage.py nightly --recognizer groceries`
    Expect, with 2,376 training photos of 81 labels (Grocery Store Dataset) and a set of 296 taken elsewhere: 63.9 % float32,
    62.2 % int8, and 98.5 % of validation photos of the same shelves, as with the top blocks. It is tried in every first night.
    """
    return replace(top_blocks(), name="head", learns="head", top_epochs=0)


def top_blocks_again() -> Recipe:
    """Every following night: from the incumbent's weights, a short time on all photos, old and new, from cached views.

    `manage.py nightly --recognizer groceries`, the second time
    Expect no more than the incumbent where hardly a photo is new; what it gives with many is not measured.
    """
    return replace(top_blocks(), name="top blocks, from the incumbent", head_epochs=0, top_epochs=2, top_rate=2e-4)


def top_blocks_long() -> Recipe:
    """The weekly night: as `top_blocks`, only longer, and once chosen once more with the validation photos as well.

    `BACKBONE_WEIGHTS=<file, width 1.0> manage.py nightly --recognizer groceries --long`
    Expect, with 2,640 training photos of 81 labels (Grocery Store Dataset), 264 of them in the refit alone, and a set of 296
    taken elsewhere: 85.1 % float32, 83.1 % int8. Passes at 1e-3 or 2e-4 instead of 5e-4 gave three to four points less.
    """
    return replace(top_blocks(), name="top blocks, long", top_epochs=12, refit=True)


def top_blocks_long_again() -> Recipe:
    """The weekly night from the incumbent's weights."""
    return replace(top_blocks_long(), name="top blocks, long, from the incumbent", head_epochs=0, top_rate=3e-4)


def from_scratch() -> Recipe:
    """Where no weights can be had: the whole small network from random weights, on small input.

    `BACKBONE_WEIGHTS=none make demo`
    Expect, with 480 training photos of 6 labels (`demo.currency`): 96 to 99 % of 240 others, float32 (seven divisions of the
    photos). 110 to 140 CPU seconds, 1.2 GB. At twice this rate two of nine such nights ended below 88 %.
    """
    return replace(
        top_blocks(),
        name="from scratch",
        learns="all",
        image_size=96,
        view_size=96,
        source_size=96,
        alpha=0.35,
        views=1,
        head_epochs=0,
        top_epochs=24,
        top_rate=3e-3,
        weight_decay=1e-3,
        dropout=0.1,
        average=0.0,
        statistics=True,
        augmentation=Augmentation(
            zoom=(0.8, 1.15),
            shift=1.0,
            turn=20,
            stretch=0.0,
            flip=False,
            brightness=0.1,
            contrast=0.15,
            tint=0.06,
            blur=0.0,
        ),
    )


def from_starter() -> Recipe:
    """Without ImageNet's weights: every layer from those that ship with the project, which drawn things have taught to see.

    `BACKBONE_WEIGHTS=none make demo`
    Expect, with 480 training photos of 6 labels (`demo.currency`): 98.7 % of 240 others, float32 (one division of the photos).
    """
    return replace(from_scratch(), name="from the starter", top_epochs=8, head_share=0.1)


def starter() -> Recipe:
    """The starter backbone, from nothing: drawn things are told apart, by small pictures, three times as many in an hour. An
    epoch is `pretrain.EPOCH` pictures, each drawn anew.

    `manage.py pretrain`
    Expect 12 % of new pictures of the 500 things named rightly, after some 1,900 CPU seconds on a busy machine.
    """
    return replace(
        from_scratch(),
        name="starter",
        image_size=64,
        view_size=64,
        source_size=64,
        batch=64,
        top_epochs=24,
        head_share=0.1,
        label_smoothing=0.0,
        dropout=0.0,
    )
