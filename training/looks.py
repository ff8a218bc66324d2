"""SNAPSHOT → FINE-TUNE: what the frozen part of a network makes of a photo, kept once for all nights to come.

The frozen part, called the trunk, is a LiteRT file in the store, so that a worker can look at a photo as soon as it is accepted
and never loads TensorFlow. A photo's views are one object in the store: an erasure removes exactly its own.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from collector.erasure import owe
from collector.models import Photo, Recognizer
from collector.objects import assure
from collector.storage import MissingObject, put_blob, store
from training.arrays import pack, unpack
from training.augment import random_views
from training.errors import CorruptView
from training.images import Progress, prepare_both
from training.inference import Runner
from training.models import CachedView, Trunk
from training.recipe import Augmentation, Recipe

KIND = "activations"
TRUNKS = "trunks"
LOOKING = ("image_size", "view_size", "source_size", "views", "augmentation")  # fields of a recipe: all that looking needs
FORMAT = 2  # of a look; the first one had nothing of the centre at the boundary
NOTHING = np.empty(0, np.float16)
READERS = 4  # threads that fetch and unpack objects: a store may be far away
AT_ONCE = 500  # photos that one look of the duty hands out


@dataclass(frozen=True)
class Look:
    """One photo as the network sees it before it has learned.

    `pixels` uint8 [s, s, 3] as a phone would feed it; of these, `centre` float16 [h, w, c] at the boundary and `features`
    float16 [d], pooled; `activations` float16 [views, h, w, c] of random views at the boundary, none of a photo that is held
    out. float16 halves the cache; the values stay within ±100, where it is good to three digits.
    """

    pixels: np.ndarray
    centre: np.ndarray
    activations: np.ndarray
    features: np.ndarray


def cut_name(trunk: str, recipe: Recipe) -> str:
    """What cached views are named by: another backbone, layer, size or way of looking is another name."""
    facts = [FORMAT, trunk, *(recipe.as_json()[name] for name in ("boundary", *LOOKING))]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def current(recognizer: Recognizer) -> Trunk | None:
    """The trunk that this recognizer's photos are looked at by; None before its first night."""
    return _usable().filter(recognizer=recognizer).order_by("-pk").first()


def _usable() -> QuerySet[Trunk]:
    """Trunks by which this program looks: what an older one kept sees something else, until the next night makes it anew."""
    return Trunk.objects.filter(spec__format=FORMAT)


def keep_trunk(*, recognizer: Recognizer, cut: str, recipe: Recipe, front: bytes, embedder: bytes) -> Trunk:
    """From now on photos of this recognizer are looked at by these LiteRT files: `front` gives the activations of a view,
    `embedder` those of a photo and its pooled features."""
    spec = {"format": FORMAT, **{name: recipe.as_json()[name] for name in LOOKING}}
    files = {"front": put_blob(TRUNKS, front), "embedder": put_blob(TRUNKS, embedder)}
    trunk, _ = Trunk.objects.update_or_create(recognizer=recognizer, cut=cut, defaults={**files, "spec": spec})
    for digest, data in ((files["front"], front), (files["embedder"], embedder)):
        assure(f"{TRUNKS}/{digest}", data)  # without it no photo can be looked at
    return trunk


def is_whole(trunk: Trunk) -> bool:
    """Whether the store has its files."""
    return all(store().size(f"{TRUNKS}/{digest}") is not None for digest in (trunk.front, trunk.embedder))


def forget_others(trunk: Trunk) -> int:
    """Remove what older trunks of the recognizer saw. Returns how many photos' views that were."""
    others = Trunk.objects.filter(recognizer=trunk.recognizer_id).exclude(pk=trunk.pk)
    with transaction.atomic():
        removed = _drop(CachedView.objects.filter(photo__recognizer=trunk.recognizer_id).exclude(cut=trunk.cut))
        others.delete()
    return removed


# ---- looking -----------------------------------------------------------------------------------------------------
class Eye:
    """A trunk, ready to look at photos, from any thread."""

    def __init__(self, front: bytes, embedder: bytes, spec: dict[str, Any]) -> None:
        self._front, self._embedder, self._spec = Runner(front), Runner(embedder), spec
        ranges = spec["augmentation"]
        self._ranges = Augmentation(**ranges | {"zoom": tuple(ranges["zoom"])})

    def look(self, data: bytes, photo_id: str, *, held_out: bool) -> Look:
        """Decode a photo's file once and look at it and its random views; what is `held_out` is never learned from.

        The random views follow from the photo's id: whoever looks again sees the same. Raises UnreadablePhoto.
        """
        spec = self._spec
        pixels, source = prepare_both(data, spec["image_size"], spec["source_size"])
        centre, features = (seen.astype(np.float16) for seen in self._embedder.outputs(pixels.astype(np.float32)))
        rng = np.random.default_rng(UUID(photo_id).int)
        views = random_views(source, 0 if held_out else spec["views"], spec["view_size"], self._ranges, rng)
        seen = [self._front.run(view.astype(np.float32)).astype(np.float16) for view in views]
        return Look(pixels, centre, np.stack(seen) if seen else NOTHING, features)


@lru_cache(maxsize=2)  # a worker looks at one recognizer's photos after another's
def _eye(front: str, embedder: str, spec: str) -> Eye:
    return Eye(store().get(f"{TRUNKS}/{front}"), store().get(f"{TRUNKS}/{embedder}"), json.loads(spec))


def eye_of(trunk: Trunk) -> Eye:
    """This process's eye of a trunk; its interpreters are made once."""
    return _eye(trunk.front, trunk.embedder, json.dumps(trunk.spec))


def see(*, photo_id: UUID) -> bool:
    """Look at an accepted photo and keep what was seen; False where that is done, or no longer wanted. Safe to repeat."""
    photo = Photo.objects.filter(pk=photo_id, state=Photo.State.ACCEPTED).exclude(view_sha256="").first()
    trunk = current(photo.recognizer) if photo else None
    if photo is None or trunk is None or CachedView.objects.filter(photo=photo, cut=trunk.cut).exists():
        return False
    data = store().get(f"views/{photo.view_sha256}")
    look = eye_of(trunk).look(data, str(photo.pk), held_out=photo.split == Photo.Split.TEST)
    return keep(photo_id=str(photo.pk), cut=trunk.cut, look=look)


def keep(*, photo_id: str, cut: str, look: Look) -> bool:
    """Keep what was seen of a photo; False, and nothing is kept, where the photo has left meanwhile."""
    data = as_bytes(look, f"{photo_id} {cut}")
    digest = put_blob(KIND, data)
    with transaction.atomic():
        # The UPDATE locks the row: a withdrawal comes either before it, and nothing is kept, or after this transaction, and
        # then it finds the row that names the object.
        if Photo.objects.filter(pk=photo_id, state=Photo.State.ACCEPTED).update(state=Photo.State.ACCEPTED):
            CachedView.objects.update_or_create(photo_id=photo_id, cut=cut, defaults={"sha256": digest, "bytes": len(data)})
            return True
    store().delete(f"{KIND}/{digest}")
    return False


def forget(photo_ids: Sequence[UUID]) -> None:
    """Remove what was seen of photos that are withdrawn. Call it inside the withdrawal's transaction."""
    _drop(CachedView.objects.filter(photo__in=photo_ids))


def _drop(rows: QuerySet[CachedView]) -> int:
    """Remove the rows and, after the commit, the objects that they named; how many they were."""
    keys = [f"{KIND}/{digest}" for digest in rows.values_list("sha256", flat=True)]
    removed, _ = rows.delete()
    owe(keys)
    return removed


def unseen() -> list[str]:
    """Accepted photos that the recognizer's trunk has not looked at; of the last days: the night looks at all others."""
    since = timezone.now() - timedelta(days=settings.VIEWS_LOOK_BACK_DAYS)
    found: list[str] = []
    newest: dict[int, Trunk] = {trunk.recognizer_id: trunk for trunk in _usable().order_by("pk")}
    for recognizer_id, trunk in newest.items():
        accepted = Photo.objects.filter(recognizer=recognizer_id, state=Photo.State.ACCEPTED, received_at__gte=since)
        waiting = accepted.exclude(view_sha256="").exclude(pk__in=CachedView.objects.filter(cut=trunk.cut).values("photo"))
        found += map(str, waiting.order_by("received_at").values_list("pk", flat=True)[:AT_ONCE])
    return found[:AT_ONCE]


# ---- as a file ---------------------------------------------------------------------------------------------------
def as_bytes(look: Look, whose: str) -> bytes:
    """An .npz file; the same look of the same photo is the same bytes.

    `whose` makes it nobody else's: two photos of one picture must not share an object that goes with the first of them.
    """
    return pack({"whose": whose}, vars(look))


def fetch(sha256: str) -> Look:
    """What was kept under this digest. Raises MissingObject, CorruptView."""
    data = store().get(f"{KIND}/{sha256}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptView("Remove its row: the next night looks at the photo again.", sha256=sha256)
    try:
        _, arrays = unpack(data)
        return Look(**arrays)
    except (TypeError, ValueError) as error:
        raise CorruptView(f"It is no file of ours ({error}).", sha256=sha256) from error


# ---- for a night -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """A photo that a night wants: `view` is the store's key of its picture."""

    photo: str
    view: str
    held_out: bool


def gather(trunk: Trunk, rows: Sequence[Row], take: Callable[[int, Look], None], progress: Progress) -> int:
    """Give `take` every row's index and look, in no order, from one thread at a time; returns how many had to be made.

    What is missing, or corrupt in the store, is made and kept. Memory: a few looks. Raises MissingObject where a photo's
    picture is gone (it was withdrawn), UnreadablePhoto.
    """
    known = dict(CachedView.objects.filter(cut=trunk.cut, photo__recognizer=trunk.recognizer_id).values_list("photo", "sha256"))
    kept = {str(photo): digest for photo, digest in known.items()}
    eye, made, done = eye_of(trunk), 0, 0

    def one(index: int) -> tuple[Look, bool]:
        row = rows[index]
        found = _fetched(kept.get(row.photo))
        if found is not None and (row.held_out or len(found.activations)):
            return found, False
        return eye.look(store().get(row.view), row.photo, held_out=row.held_out), True

    with ThreadPoolExecutor(READERS) as pool:
        for batch in _batches(range(len(rows)), READERS * 4):
            for index, (look, new) in zip(batch, pool.map(one, batch), strict=True):
                if new and not keep(photo_id=rows[index].photo, cut=trunk.cut, look=look):
                    raise MissingObject(rows[index].view)
                made += new
                take(index, look)
            done += len(batch)
            progress("looking at photos", done, len(rows))
    return made


def _fetched(sha256: str | None) -> Look | None:
    if sha256 is None:
        return None
    try:
        return fetch(sha256)
    except (MissingObject, CorruptView):
        return None


def _batches(indices: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(indices)
    while batch := list(islice(rest, size)):
        yield batch
