"""SNAPSHOT: whom an entry's `group` names, and which photos that links: they are no independent draws.

A group is "volunteer/cluster", or the cluster of near-duplicates alone for an owner's import (training.snapshot).
"""

from collections.abc import Iterable, Sequence

import numpy as np


def volunteer(group: str) -> str | None:
    """The volunteer's pseudonym; None for an owner's import."""
    return group.rpartition("/")[0] or None


def cluster(group: str) -> str:
    """The near-duplicate cluster, whoever sent it: copies by two accounts are one scene."""
    return group.rpartition("/")[2]


def linked(groups: Sequence[str], further: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """int [n]: photos have one number if volunteers, clusters or pairs of rows in `further` link them, over however many
    others."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for group in groups:
        if person := volunteer(group):
            parent[root(f"{person}/")] = root(cluster(group))
    for one, other in further:
        parent[root(cluster(groups[one]))] = root(cluster(groups[other]))
    return np.unique([root(cluster(group)) for group in groups], return_inverse=True)[1]
