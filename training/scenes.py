"""SNAPSHOT → FINE-TUNE: which photos a night chooses by: none that shows the same scene as one that it learns from.

What a phone sends is divided by volunteer when it is accepted. An import has no volunteers: photos of one shelf, taken within a
minute, may lie on both sides, and then every way of training gets them right and none can be chosen (measured: a head got 95 %
of such photos of the Grocery Store Dataset, and 64 % of photos from another day). Pure: numpy arrays in and out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.groups import linked, volunteer

# Cosine distance between two photos' features by an ImageNet backbone: nearer ones of one label show one scene. With 0.2 a head
# got 57 to 66 % of whole scenes set aside of the Grocery Store Dataset's training photos, and 64 % of its validation photos.
SAME_SCENE = 0.2
LARGEST = 1 / 2  # of a label's photos: where more would be one scene, for things that look alike everywhere, nearer ones are
NARROWER = 0.9
NOWHERE_NEAR = 1e-6  # below it only equal photos are one scene
ROWS = 1024  # of distances at a time: 40 MB with 10,000 photos of a label


@dataclass(frozen=True)
class Division:
    """`chosen_by` bool [n]: the photos to choose by; the others are learned from. `scenes` int [n] number what belongs
    together. `sentence`: for people, "" where the splits stay as they were."""

    chosen_by: np.ndarray
    scenes: np.ndarray
    sentence: str


def divide(
    *,
    ids: Sequence[str],
    groups: Sequence[str],
    truth: np.ndarray,
    features: np.ndarray,
    fixed: np.ndarray,
    known: Mapping[str, bool],
    share: float,
) -> Division:
    """Divide photos into those to choose by and those to learn from.

    `groups` are those of a snapshot's entries, "volunteer/cluster" or, for imports, the cluster; `truth` int [n] label indices;
    `features` [n, d], or empty where nothing has looked at the photos yet: then near-duplicates alone are scenes; `fixed` bool
    [n], whom the splits have choose. `known`: photo id → did the weights that training begins with *not* learn it? That stands:
    otherwise the next night would be judged by what it has learned already.

    Scenes of imports that straddle the splits are learned from. Where that leaves fewer than half of `share` of all to choose
    by, whole scenes are set aside, in the order of a hash of their names, never more than half of a label.
    """
    imported = np.array([volunteer(group) is None for group in groups], bool)
    scenes = _scenes(groups, truth, features, imported)
    chosen_by = fixed & ~imported
    decided = ~imported
    for row, photo in enumerate(ids):
        if imported[row] and photo in known:
            chosen_by[row], decided[row] = known[photo], True
    members = _members(scenes)
    open_scenes = []
    for rows in members:
        rest = rows[~decided[rows]]
        if len(rest) and len(rest) < len(rows):
            chosen_by[rest] = chosen_by[rows[decided[rows]]].all()  # a new photo of a known scene goes where that is
        elif len(rest) and fixed[rows].all():
            chosen_by[rest] = True
        elif len(rest):
            open_scenes.append(rows)
    if chosen_by.sum() >= share * len(ids) / 2:  # half: a young recognizer's splits are uneven
        return Division(chosen_by, scenes, "")
    wanted = max(share * len(ids), fixed.sum())
    _set_aside(chosen_by, sorted(open_scenes, key=lambda rows: _position(min(ids[row] for row in rows))), truth, wanted)
    return Division(chosen_by, scenes, _sentence(chosen_by, fixed))


def _set_aside(chosen_by: np.ndarray, open_scenes: Sequence[np.ndarray], truth: np.ndarray, wanted: float) -> None:
    of_label = np.bincount(truth)
    aside = np.bincount(truth[chosen_by], minlength=len(of_label))
    for rows in open_scenes:
        if chosen_by.sum() >= wanted:
            return
        more = np.bincount(truth[rows], minlength=len(of_label))
        if ((aside + more <= of_label / 2) | (more == 0)).all():
            chosen_by[rows] = True
            aside += more


def _sentence(chosen_by: np.ndarray, fixed: np.ndarray) -> str:
    if not fixed.any():
        return f"{chosen_by.sum()} imported photos to choose by were set aside, whole scenes at a time."
    return (
        f"Of {fixed.sum()} photos to choose by, too many imported ones show the same scene as photos to learn from: "
        f"{chosen_by.sum()} others were set aside, whole scenes at a time."
    )


def _scenes(groups: Sequence[str], truth: np.ndarray, features: np.ndarray, imported: np.ndarray) -> np.ndarray:
    """int [n]: equal for photos that are linked by a volunteer, a cluster or, where they are imported, by their look."""
    alike: list[tuple[int, int]] = []
    if len(features):
        for label in np.unique(truth):
            rows = np.flatnonzero((truth == label) & imported)
            alike += zip(rows, rows[_alike(features[rows])], strict=True)
    return linked(groups, alike)


def _alike(features: np.ndarray) -> np.ndarray:
    """int [n]: each photo of a label → the first of its scene. Single linkage: between two scenes no two photos are near.

    n² distances, as often as it has to look nearer.
    """
    long = features.astype(np.float32)
    unit = long / np.maximum(np.linalg.norm(long, axis=1, keepdims=True), 1e-9)
    near = SAME_SCENE
    while True:
        scene = _linked(unit, near)
        if near < NOWHERE_NEAR or np.bincount(scene).max(initial=0) <= max(1, LARGEST * len(unit)):
            return scene
        near *= NARROWER


def _linked(unit: np.ndarray, near: float) -> np.ndarray:
    from scipy.sparse import csr_matrix, vstack
    from scipy.sparse.csgraph import connected_components

    if not len(unit):
        return np.empty(0, int)
    blocks = [csr_matrix(unit[at : at + ROWS] @ unit.T > 1 - near) for at in range(0, len(unit), ROWS)]
    numbers = connected_components(vstack(blocks), directed=False)[1]
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


def _members(scenes: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(scenes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(scenes[order])) + 1)


def _position(name: str) -> bytes:
    """A place in an order that nobody chose."""
    return hashlib.sha256(f"validation {name}".encode()).digest()
