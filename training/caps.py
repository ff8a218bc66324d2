"""SNAPSHOT → FINE-TUNE: no single volunteer and no single scene may fill a night. Says which training rows stay.

Pure: neither Django nor TensorFlow. What an account can do to a model grows with its share of the rows, so that share is
bounded whatever it sends; a cluster of near-duplicates says little more than one of them.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median_high
from typing import Generic, Protocol, TypeVar

from training import groups


class Row(Protocol):
    """As much of snapshot.Entry as is needed here. `group`: "<volunteer>/<cluster>", or "<cluster>" for an owner's import."""

    @property
    def photo(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def group(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Capped(Generic[R]):
    """The rows that stay, in the order they were given. Caps are in rows; None: no such owner."""

    kept: list[R]
    left_out: int
    volunteer_cap: int | None
    cluster_cap: int | None
    cut_volunteers: int  # how many volunteers lost rows
    cut_clusters: int

    def sentence(self) -> str:
        """For the run's message; "" where every row stayed."""
        if not self.left_out:
            return ""
        parts = []
        if self.cut_volunteers:
            parts.append(f"{_count(self.cut_volunteers, 'volunteer')} to {self.volunteer_cap} photos")
        if self.cut_clusters:
            parts.append(f"{_count(self.cut_clusters, 'group')} of near-duplicates to {self.cluster_cap}")
        stay = f"{len(self.kept)} of {len(self.kept) + self.left_out}"
        return f"{stay} training photos were learned from: caps cut {' and '.join(parts)}."


def capped(rows: Sequence[R], *, volunteer_percent: int, cluster_percent: int, floor: int) -> Capped[R]:
    """Training `rows` of which no volunteer owns more than `volunteer_percent` and no cluster more than `cluster_percent`.

    The percentages are of the rows that *stay*: starting from all rows, whoever is above its share is cut to it, which makes
    shares smaller; that repeats until nothing changes (the largest set that satisfies it, for every step only takes away what
    no smaller set could keep). A cap is never lower than
    - what the middle volunteer (cluster) has: with under 100 volunteers one percent each would leave nothing;
    - what it takes to leave `floor` rows (or all, where there are fewer) in total: a small beginning is not cut at all.

    Who is cut keeps rows of all its labels in turn, so that no label loses more than it must; within a label those with the
    smallest SHA-256 of the photo's id. Neither the night nor the number of rows moves that order: where a photo comes or goes,
    at most as many others change as the cap does, and one more.
    """
    kept = list(rows)
    caps: dict[str, int | None] = {"volunteer": None, "cluster": None}
    while True:
        before = len(kept)
        for name, owner, percent in (("cluster", cluster_of, cluster_percent), ("volunteer", volunteer_of, volunteer_percent)):
            caps[name] = _cap(kept, owner, Fraction(percent, 100), floor)
            kept = _within(kept, owner, caps[name])
        if len(kept) == before:
            break
    return Capped(
        kept,
        len(rows) - len(kept),
        caps["volunteer"],
        caps["cluster"],
        _cut(rows, kept, volunteer_of, caps["volunteer"]),
        _cut(rows, kept, cluster_of, caps["cluster"]),
    )


def cluster_of(row: Row) -> str:
    """The near-duplicate cluster, whoever sent it: copies by two accounts are one scene."""
    return groups.cluster(row.group)


def volunteer_of(row: Row) -> str | None:
    """The volunteer's pseudonym; None for an owner's import, which is capped by cluster alone."""
    return groups.volunteer(row.group)


Owner = Callable[[Row], str | None]


def _cap(rows: Sequence[Row], owner: Owner, share: Fraction, floor: int) -> int | None:
    """The largest number of rows that an owner may have, with `share` of what then stays."""
    counts = Counter(name for row in rows if (name := owner(row)) is not None)
    if not counts:
        return None
    free = len(rows) - counts.total()
    sizes = sorted(counts.values())
    least = max(median_high(sizes), _level(sizes, min(floor, len(rows)) - free))
    cap = max(sizes)
    while True:
        stay = free + sum(min(size, cap) for size in sizes)
        lower = max(least, int(share * stay))
        if lower >= cap:
            return cap
        cap = lower


def _level(sizes: Sequence[int], wanted: int) -> int:
    """The smallest cap that leaves `wanted` rows of owners with these sizes, ascending."""
    for place, size in enumerate(sizes):
        share = -(-max(0, wanted) // (len(sizes) - place))  # rounded up: what the larger ones must give each
        if share <= size:
            return share
        wanted -= size
    return sizes[-1]


def _within(rows: Sequence[R], owner: Owner, cap: int | None) -> list[R]:
    """`rows` without what an owner has above `cap`."""
    if cap is None:
        return list(rows)
    owned: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        if (name := owner(row)) is not None:
            owned[name].append(row)
    out = {row.photo for mine in owned.values() if len(mine) > cap for row in _fair(mine)[cap:]}
    return [row for row in rows if row.photo not in out]


def _fair(rows: Sequence[R]) -> list[R]:
    """Each label's first photo by hash, then each label's second, and so on."""
    turns: Counter[str] = Counter()
    ranked = []
    for digest, row in sorted(((_hash(row.photo), row) for row in rows), key=lambda pair: pair[0]):
        ranked.append((turns[row.label], digest, row))
        turns[row.label] += 1
    return [row for _, _, row in sorted(ranked, key=lambda entry: entry[:2])]


def _hash(photo: str) -> bytes:
    return hashlib.sha256(f"cap {photo}".encode()).digest()


def _cut(rows: Sequence[R], kept: Sequence[R], owner: Owner, cap: int | None) -> int:
    """Owners that had more than their cap and have less now."""
    before, after = (Counter(owner(row) for row in some) for some in (rows, kept))
    return sum(1 for name, size in before.items() if name is not None and cap is not None and size > cap and after[name] < size)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
