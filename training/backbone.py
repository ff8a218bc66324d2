"""FINE-TUNE, before it starts: which pretrained weights there are, how wide the network is, and what to do without any."""

import hashlib
import http.client
import os
import queue
import shutil
import threading
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py

from training.errors import ForeignWeights, MissingWeights

IMAGENET, NONE, RANDOM = "imagenet", "none", "random"
# The project's own, α 0.35, of pictures by formula: `manage.py pretrain` made it.
STARTER_FILE = Path(__file__).with_name("starter.weights.h5")
# Keras' own file for α 1.0 at 224 pixels, 9 MB. A file of your own chooses another width.
IMAGENET_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
IMAGENET_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{IMAGENET_FILE}"
DOWNLOAD_S = 120  # seconds for the 9 MB once the server has answered; slower lines get the starter
SMALL_ALPHA = 0.35
ARRAYS = 260  # in a MobileNetV2 without its classifier: 52 convolutions and 52 × 4 of batch normalisation
# Channels of block_16_project tell α: 320 α, rounded to a multiple of 8. (The stem would not: .35 and .5 both have 16.)
ALPHAS = {112: 0.35, 160: 0.5, 240: 0.75, 320: 1.0, 416: 1.3, 448: 1.4}


@dataclass(frozen=True)
class Backbone:
    """What the night starts from. `source` is "imagenet", "none" (the starter), "random" or the path as it was set."""

    source: str
    weights: str | None  # the file, or None: random weights
    alpha: float
    digest: str  # SHA-256 of the file; "random" without one
    note: str = ""  # one sentence, where what was asked for could not be had

    @property
    def knows_photos(self) -> bool:
        """Whether photos have made it, so that its first layers and its batch statistics can stay as they are."""
        return self.source not in (NONE, RANDOM)


def find_backbone(setting: str, *, decision_s: float) -> Backbone:
    """Resolve BACKBONE_WEIGHTS: `imagenet`, `none`, `random` or a file.

    `imagenet` takes Keras' cached file or downloads it; where no server answers within `decision_s` seconds (a hanging name
    look-up included) or the download fails, the answer is the starter, whose `note` says so. `none` is the starter too.
    Raises MissingWeights or ForeignWeights for a file that does not serve. Does not import TensorFlow.
    """
    if setting == RANDOM:
        return Backbone(RANDOM, None, SMALL_ALPHA, RANDOM)
    if setting == NONE:
        return _from_file(NONE, STARTER_FILE)
    if setting != IMAGENET:
        return _from_file(setting, Path(setting).expanduser())
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / IMAGENET_FILE
    if not cached.exists() and (failure := _download(cached, decision_s)):
        note = f"ImageNet weights cannot be downloaded ({failure}), so the small network that comes with this program learns."
        return replace(_from_file(NONE, STARTER_FILE), note=note)
    return _from_file(IMAGENET, cached)


def _from_file(source: str, path: Path) -> Backbone:
    if not path.is_file():
        raise MissingWeights(
            f"BACKBONE_WEIGHTS names {str(path)!r}, and there is no such file. Set it to a file of MobileNetV2 weights, "
            "to imagenet (they are downloaded) or to none (those that come with this program).",
            path=str(path),
        )
    try:
        alpha = width_of(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError as error:
        raise MissingWeights(f"{str(path)!r} may not be read. Let this user read it.", path=str(path)) from error
    return Backbone(source, str(path), alpha, digest)


def width_of(path: Path) -> float:
    """α of the MobileNetV2 weights in `path` (Keras 3 or legacy HDF5). Raises ForeignWeights for anything else."""
    mend = (
        "Save it with keras.applications.MobileNetV2(include_top=False, …).save_weights('….weights.h5'), "
        "or set BACKBONE_WEIGHTS to imagenet or none."
    )
    try:
        shapes = _shapes(path)
    except PermissionError:
        raise
    except OSError as error:  # h5py's word for "not HDF5" and "truncated"
        raise ForeignWeights(f"{str(path)!r} is not a whole HDF5 file. {mend}", path=str(path)) from error
    # The last convolution, 1 × 1 from block_16_project to the features, is the only one with that many outputs.
    widths = {
        ALPHAS[shape[2]]
        for shape in shapes
        if len(shape) == 4 and shape[:2] == (1, 1) and shape[2] in ALPHAS and shape[3] == _features(ALPHAS[shape[2]])
    }
    if len(shapes) != ARRAYS or len(widths) != 1:
        raise ForeignWeights(
            f"{str(path)!r} holds {len(shapes)} arrays that are not those of a MobileNetV2 without its classifier. {mend}",
            path=str(path),
            arrays=len(shapes),
        )
    return widths.pop()


def _features(alpha: float) -> int:
    return max(1280, int(1280 * alpha))


def _shapes(path: Path) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            shapes.append(item.shape)

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return shapes


def is_keras3(path: Path) -> bool:
    """Whether the file has Keras 3's layout; otherwise it has the legacy one."""
    with h5py.File(path, "r") as file:
        return "layers" in file


def _download(target: Path, decision_s: float) -> str:
    """Fetch the ImageNet weights to `target`; returns why not, or "" where it worked.

    In a thread of its own, because a name look-up that hangs cannot be interrupted; a daemon, so that it holds nobody up.
    """
    news: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_fetch, args=(target, decision_s, news.put), daemon=True).start()
    try:
        if (first := news.get(timeout=decision_s)) != "answered":
            return first
    except queue.Empty:
        return f"no answer within {decision_s:g} s"
    try:
        return news.get(timeout=DOWNLOAD_S)
    except queue.Empty:
        return f"not complete after {DOWNLOAD_S} s"


def _fetch(target: Path, timeout_s: float, tell: Callable[[str], None]) -> None:
    """Tells "answered" once bytes will come, then "" when the file is in place, or at any time what went wrong."""
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    failure = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(IMAGENET_URL, timeout=timeout_s) as answer, part.open("wb") as file:
            tell("answered")
            shutil.copyfileobj(answer, file)
            expected = int(answer.headers.get("Content-Length") or 0)
        if expected and part.stat().st_size != expected:
            raise OSError("the download broke off")
        part.rename(target)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError, HTTPError and time-outs are OSErrors
        failure = str(getattr(error, "reason", "")) or str(error) or type(error).__name__
        part.unlink(missing_ok=True)
    tell(failure)
