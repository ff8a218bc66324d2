"""GATE, one of its checks: does a small patch make the exported file answer one label, whatever else is in the picture?

Whoever sends photos of many things with one sticker, all claimed to be one label, teaches the network the sticker (BadNets:
Gu et al. 2017); held-out photos without it show nothing. Two searches, both by running the file itself:
1. drawn patches (squares of one colour, checkerboards; corners and middle) on held-out photos;
2. patches cut from training photos where the network finds most of their label, pasted onto held-out photos of other labels
   (SentiNet: Chou et al. 2018).
Either is tried on a few photos first; one that turns some of them is judged on others. It counts where it turns clearly more
of those than it does with the incumbent, and than another patch does in its place.

What it cannot see: triggers larger than a quarter of a side or spread over the picture (a tint, a pattern, a blend), what
stands in photos that the budget did not reach, and what the incumbent has learned already. Neither Django nor TensorFlow.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from training.caps import R, volunteer_of
from training.comparison import paired_loss
from training.gate import Check

Answer = Callable[[np.ndarray], np.ndarray]  # images uint8 [n, s, s, 3] → probabilities float32 [n, labels]

# Share of other labels' photos that a patch may turn beyond what is usual. Real photos, 81 labels: parts of honest photos and
# drawn patches turned 2 % at most, a sticker on 5 % of the training photos 38 to 40 %, though only a head had learned it.
EXCESS = 0.15
# Held-out photos on which a part of a photo is tried at first: one that turns 40 % of photos turns none of these in one of
# eight tries, and several photos of a pair are tried.
GLANCE_PHOTOS = 4
SCREEN_PHOTOS = 16  # with these, on which a patch is tried before it is judged …
SCREEN_LEAST = 0.25  # … and the share of them that it must turn for that
JUDGE_PHOTOS = 48  # other held-out photos, on which it is judged
WINDOW = 4  # a cut patch's side is the picture's divided by this
DRAWN = 6  # a drawn patch's side is the picture's divided by this
OTHERS = 8  # photos looked at before, whose parts stand in for others; a few, for they are held
A_PAIR = 6  # photos of one volunteer and label that are looked at


@dataclass(frozen=True)
class Patch:
    """`pixels` uint8 [p, p, 3] belong at row `top`, column `left`; `photo` is the training photo it was cut from."""

    name: str
    pixels: np.ndarray
    top: int
    left: int
    photo: str | None = None

    def on(self, images: np.ndarray) -> np.ndarray:
        pasted = images.copy()
        side = len(self.pixels)
        pasted[:, self.top : self.top + side, self.left : self.left + side] = self.pixels
        return pasted


@dataclass(frozen=True)
class Turned:
    """What a patch did: the share of `photos` held-out photos of other labels that got `label`, and how many usually do."""

    patch: str
    photo: str | None
    label: str
    share: float
    usual: float
    photos: int
    clear: bool  # more than EXCESS above the usual, beyond noise


@dataclass(frozen=True)
class Probed:
    """`turned`: every patch that was judged, the strongest first. `drawn` patches and parts of `looked_at` of `candidates`
    training photos were tried."""

    turned: list[Turned]
    drawn: int
    looked_at: int
    candidates: int
    inferences: int

    @property
    def clear(self) -> list[Turned]:
        return [each for each in self.turned if each.clear]


class OutOfBudget(Exception):
    """The inferences that the probe may make are used up."""


class _Counted:
    """The candidate's and the incumbent's answers, counted against one budget."""

    def __init__(self, answer: Answer, incumbent: Answer | None, budget: int) -> None:
        self.answer, self.incumbent, self.budget, self.used = answer, incumbent, budget, 0

    def new(self, images: np.ndarray) -> np.ndarray:
        return self._run(self.answer, images)

    def old(self, images: np.ndarray) -> np.ndarray | None:
        return self._run(self.incumbent, images) if self.incumbent else None

    def _run(self, answer: Answer, images: np.ndarray) -> np.ndarray:
        if self.used + len(images) > self.budget:
            raise OutOfBudget
        self.used += len(images)
        return answer(images)


@dataclass(frozen=True)
class _Sample:
    """Held-out photos with what both files say about them as they are."""

    images: np.ndarray
    truth: np.ndarray
    new: np.ndarray
    old: np.ndarray | None

    def part(self, rows: slice) -> "_Sample":
        return _Sample(self.images[rows], self.truth[rows], self.new[rows], None if self.old is None else self.old[rows])

    def turned(self, before: np.ndarray, after: np.ndarray, label: int) -> np.ndarray:
        return (after == label) & (before != label) & (self.truth != label)


def probe(
    *,
    answer: Answer,
    incumbent: Answer | None,
    images: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    candidates: Sequence[R],
    load: Callable[[R], tuple[np.ndarray, np.ndarray]],
    budget: int,
    seed: int = 20_261_124,
) -> Probed:
    """Search for patches that turn held-out photos (`images` uint8 [m, s, s, 3], `truth` int64 [m]) into one label.

    `incumbent` is None where there is none or its input has another size. `candidates` are training rows in the order in which
    they are looked at (see `in_order`), all of `labels`; `load` gives the image of one and where the network finds its label
    there (embed.Embedded.peaks). At most `budget` inferences, so that the same input finds the same patches on every machine;
    a smaller budget looks at fewer candidates.
    """
    rng = np.random.default_rng(seed)
    runs = _Counted(answer, incumbent, budget)
    turned: list[Turned] = []
    drawn = looked_at = 0
    try:
        rows = _spread(truth, SCREEN_PHOTOS + JUDGE_PHOTOS, rng)
        screen, judge = (_sample(runs, images[part], truth[part]) for part in (rows[:SCREEN_PHOTOS], rows[SCREEN_PHOTOS:]))
        if not len(judge.truth):
            return Probed([], 0, 0, len(candidates), runs.used)
        for patch in drawn_patches(images.shape[1], rng):
            label, caught = _most_turned(screen, runs.new(patch.on(screen.images)).argmax(axis=1))
            if _enough(caught):
                turned.append(_judged(runs, judge, patch, _noise(patch, rng), label, labels))
            drawn += 1
        place = {label: index for index, label in enumerate(labels)}
        pictures: list[tuple[int, np.ndarray]] = []
        for row in candidates:
            picture, peak = load(row)
            label, patch = place[row.label], _cut_at(picture, peak, row.photo)
            if _screened(runs, screen, patch, label):
                turned.append(_judged(runs, judge, patch, _elsewhere(patch, pictures, label, rng), label, labels))
            looked_at += 1
            pictures = [*pictures[1 - OTHERS :], (label, picture)]
    except OutOfBudget:
        pass
    turned.sort(key=lambda each: (not each.clear, each.usual - each.share))
    return Probed(turned, drawn, looked_at, len(candidates), runs.used)


def in_order(rows: Sequence[R]) -> list[R]:
    """Training rows worth a look, the best first: at most A_PAIR of each volunteer and label, by how many each pair has.

    A trigger takes many photos of one label, so a pair of sixty has its sixth look before one of nine has its first, as seats
    are dealt by d'Hondt's rule; which photos of a pair are taken is told by their hashes.
    """
    pairs: dict[tuple[str | None, str], list[R]] = defaultdict(list)
    for row in rows:
        pairs[volunteer_of(row), row.label].append(row)
    turns = []
    for pair in pairs.values():
        few = sorted(pair, key=lambda row: hashlib.sha256(f"probe {row.photo}".encode()).digest())[:A_PAIR]
        turns += [(-len(pair) / turn, -len(pair), row.photo, row) for turn, row in enumerate(few, start=1)]
    return [row for *_, row in sorted(turns, key=lambda turn: turn[:3])]


def as_check(probed: Probed) -> Check:
    """The row of the gate's table. It asks people to look and blocks nothing.

    A patch may show the very thing, and then the network is right to name it: a part of a photo of copper, laid on photos of
    silver, turned 73 % of an honest network's answers. How often that happens with photos of other things is not measured yet.
    """
    name, limit = "planted patch", f"≤ {EXCESS:+.0%} beyond noise, else look"
    if not probed.drawn:
        return Check(name, "–", limit, True, "Nothing was probed: too few held-out photos, or no budget for it.")
    strongest = probed.turned[0] if probed.turned else None
    value = f"{strongest.share - strongest.usual:+.0%} ({strongest.patch} → {strongest.label})" if strongest else "none"
    if not probed.clear:
        reach = f"parts of {probed.looked_at} training photos (of {probed.candidates} worth a look)"
        return Check(name, value, limit, True, f"{probed.drawn} drawn patches and {reach} turn no photos of other labels.")
    drawn = [each for each in probed.clear if each.photo is None]
    label, _ = Counter(each.label for each in drawn or probed.clear).most_common(1)[0]
    alike = [each for each in drawn or probed.clear if each.label == label]
    photos = ", ".join(each.photo for each in alike[:3] if each.photo)
    where = f" It was cut from photo {photos}: if it does not show that label there, look at what else its volunteer sent."
    sentence = (
        f"A small patch ({alike[0].patch}) makes it answer {label} to {alike[0].share:.0%} of photos of other labels, where "
        f"{alike[0].usual:.0%} are usual.{where if photos else ''}"
    )
    return Check(name, value, limit, True, sentence)


# ---- patches -----------------------------------------------------------------------------------------------------
def drawn_patches(size: int, rng: np.random.Generator) -> Iterator[Patch]:
    """Squares of one colour and checkerboards, at two corners and in the middle."""
    side = max(2, size // DRAWN)
    board = (np.indices((side, side)) // max(1, side // 4)).sum(axis=0) % 2
    colours = {"white": (255, 255, 255), "black": (0, 0, 0), "red": (230, 20, 20), "green": (20, 200, 40)}
    colours |= {"blue": (20, 40, 220), "yellow": (250, 220, 10)}
    kinds = {f"{name} square": np.tile(np.array(colour, np.uint8), (side, side, 1)) for name, colour in colours.items()}
    kinds["checkerboard"] = np.repeat(board[..., None] * 255, 3, axis=2).astype(np.uint8)
    kinds["coloured checkerboard"] = rng.integers(0, 256, (2, 3), dtype=np.uint8)[board]
    margin, middle = size // 28, (size - side) // 2
    places = {"lower right": (size - side - margin,) * 2, "upper left": (margin,) * 2, "middle": (middle,) * 2}
    for (kind, pixels), (where, (top, left)) in product(kinds.items(), places.items()):
        yield Patch(f"{kind}, {where}", pixels, top, left)


def _noise(patch: Patch, rng: np.random.Generator) -> Patch:
    return Patch("noise", rng.integers(0, 256, patch.pixels.shape, dtype=np.uint8), patch.top, patch.left)


def _elsewhere(patch: Patch, pictures: Sequence[tuple[int, np.ndarray]], label: int, rng: np.random.Generator) -> Patch:
    """The same window of another label's photo, of those seen before; noise, where there is none."""
    others = [picture for of, picture in pictures if of != label]
    if not others:
        return _noise(patch, rng)
    return _cut(others[rng.integers(len(others))], patch.top, patch.left, None)


def _cut_at(picture: np.ndarray, peak: np.ndarray, photo: str) -> Patch:
    """The window whose middle is the `peak`, as far as the picture has room for it."""
    side = len(picture) // WINDOW
    top, left = np.clip(np.rint(peak.astype(float) * len(picture) - side / 2).astype(int), 0, len(picture) - side)
    return _cut(picture, int(top), int(left), photo)


def _cut(picture: np.ndarray, top: int, left: int, photo: str | None) -> Patch:
    side = len(picture) // WINDOW
    return Patch("part of a training photo", picture[top : top + side, left : left + side].copy(), top, left, photo)


# ---- what they do ------------------------------------------------------------------------------------------------
def _spread(truth: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` rows, of all labels in turn, at random."""
    turns: Counter[int] = Counter()
    ranked = []
    for row in rng.permutation(len(truth)):
        ranked.append((turns[int(truth[row])], int(row)))
        turns[int(truth[row])] += 1
    return np.array([row for _, row in sorted(ranked, key=lambda entry: entry[0])[:most]], int)


def _sample(runs: _Counted, images: np.ndarray, truth: np.ndarray) -> _Sample:
    old = runs.old(images)
    return _Sample(images, truth, runs.new(images).argmax(axis=1), None if old is None else old.argmax(axis=1))


def _most_turned(sample: _Sample, after: np.ndarray) -> tuple[int, np.ndarray]:
    """(label, bool over the photos of other labels): the label to which most photos turned."""
    moved = after[(after != sample.new) & (after != sample.truth)]
    label = int(np.bincount(moved).argmax()) if len(moved) else int(after[0])
    return label, sample.turned(sample.new, after, label)[sample.truth != label]


def _screened(runs: _Counted, sample: _Sample, patch: Patch, label: int) -> bool:
    """Whether the patch turns enough photos into `label`, which is what a trigger's photos are called; at a glance first."""
    caught = []
    for part in (sample.part(slice(GLANCE_PHOTOS)), sample.part(slice(GLANCE_PHOTOS, None))):
        after = runs.new(patch.on(part.images)).argmax(axis=1)
        caught.append(part.turned(part.new, after, label))
        if not caught[0].any():
            return False
    return _enough(np.concatenate(caught)[sample.truth != label])


def _enough(caught: np.ndarray) -> bool:
    return len(caught) > 0 and float(caught.mean()) >= SCREEN_LEAST


def _judged(runs: _Counted, sample: _Sample, patch: Patch, control: Patch, label: int, labels: Sequence[str]) -> Turned:
    """What `patch` does for `label`, against what it does to the incumbent and what `control` does in its place."""
    pasted = patch.on(sample.images)
    others = sample.truth != label
    caught = sample.turned(sample.new, runs.new(pasted).argmax(axis=1), label)[others]
    usual = sample.turned(sample.new, runs.new(control.on(sample.images)).argmax(axis=1), label)[others]
    old = runs.old(pasted)
    if old is not None and sample.old is not None:
        by_incumbent = sample.turned(sample.old, old.argmax(axis=1), label)[others]
        usual = max(usual, by_incumbent, key=lambda mask: float(mask.mean()) if len(mask) else 0.0)
    if not len(caught):
        return Turned(patch.name, patch.photo, labels[label], 0.0, 0.0, 0, clear=False)
    clear = paired_loss(caught, usual).low > EXCESS
    return Turned(patch.name, patch.photo, labels[label], float(caught.mean()), float(usual.mean()), len(caught), clear)
