"""FINE-TUNE → the next night: a trained network's weights with what they fit, as one object `weights/<sha256>` in the store."""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from django.db import transaction

from collector.erasure import owe
from collector.models import Recognizer
from collector.objects import assure
from collector.storage import MissingObject, put_blob, store
from training import runs
from training.arrays import listed, named, pack, unpack
from training.backbone import Backbone
from training.errors import CorruptWeights
from training.models import Release, Run

KIND = "weights"
RELEASES = 5  # that a channel can be rolled back to and the next night still begin there; 10 MB each at width 1.0


@dataclass(frozen=True)
class Fit:
    """What weights fit. `trunk` names the part in front of the recipes' boundary: the digest of the backbone's file, or of the
    weights that last changed it. As long as the trunk is the same, cached views stay good."""

    base: str  # digest of the backbone's file that it all began with
    trunk: str
    alpha: float
    image_size: int
    labels: list[str]  # ordered slugs, one per output of the head


@dataclass(frozen=True)
class Weights:
    """`network` and `head`: float32 arrays in Keras' own order (`Model.get_weights`). `judged`: photo id → was it right, of the
    validation photos that these weights never learned from: what the next night's candidate has to beat."""

    fit: Fit
    network: list[np.ndarray]
    head: list[np.ndarray]
    judged: dict[str, bool]


@dataclass(frozen=True)
class Start:
    """What training begins with: the backbone's file, or `weights` of an earlier night that fit tonight's labels."""

    backbone: Backbone
    weights: Weights | None


def as_bytes(weights: Weights) -> bytes:
    """An .npz file; the same weights are the same bytes."""
    arrays = named({"network": weights.network, "head": weights.head})
    return pack({"fit": asdict(weights.fit), "judged": dict(sorted(weights.judged.items()))}, arrays)


def keep(run: Run, weights: Weights) -> str:
    """Have the run name them; returns the lower-case hex SHA-256. Raises FencedOff."""
    data = as_bytes(weights)
    digest = put_blob(KIND, data)
    runs.write(run, weights_sha256=digest)
    assure(f"{KIND}/{digest}", data)  # without them no further night begins
    return digest


def load(sha256: str) -> Weights:
    """What was kept under this digest. Raises CorruptWeights."""
    try:
        data = store().get(f"{KIND}/{sha256}")
    except MissingObject:
        raise CorruptWeights("The store does not have them.", sha256=sha256) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptWeights("Check the disk or the bucket.", sha256=sha256)
    return from_bytes(data)


def forget_old(*, recognizer: Recognizer) -> None:
    """Remove what no night will begin with any more: the weights of runs that no published release came of, save the newest."""
    published = Release.objects.filter(recognizer=recognizer, state=Release.State.PUBLISHED).order_by("-version")
    wanted = set(published.values_list("run", flat=True)[:RELEASES])
    old = Run.objects.filter(recognizer=recognizer, state__in=Run.FINISHED).exclude(weights_sha256="").exclude(pk__in=wanted)
    with transaction.atomic():
        keys = [f"{KIND}/{digest}" for digest in old.values_list("weights_sha256", flat=True)]
        old.update(weights_sha256="")
        owe(keys)


def from_bytes(data: bytes) -> Weights:
    """The inverse of `as_bytes`. Raises CorruptWeights for a foreign file."""
    try:
        facts, arrays = unpack(data)
        fit, judged = Fit(**facts["fit"]), dict(facts["judged"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptWeights(f"They are no file of ours ({error}).") from error
    return Weights(fit, listed(arrays, "network"), listed(arrays, "head"), judged)
