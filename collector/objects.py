"""INTAKE → everything after: who needs an object of the store? Each kind has rows that name its objects by their digests.

Apps above register their kinds here. What a kind's rows no longer name may be removed; a kind that nobody registered is never
looked at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from collector.models import Photo
from collector.storage import MissingObject, store

COLUMNS = {"originals": "sha256", "views": "view_sha256", "thumbnails": "thumbnail_sha256"}  # kind → the photo's column


@dataclass(frozen=True)
class Kind:
    """`rows()` name the objects that are needed, in each of `columns`, which have an index. `few`: some thousands at most."""

    rows: Callable[[], QuerySet[Any]]
    columns: tuple[str, ...]
    few: bool


KINDS: dict[str, Kind] = {}


def named_by(kind: str, rows: Callable[[], QuerySet[Any]], *columns: str, few: bool = False) -> None:
    """From now on objects `<kind>/<sha256>` whose digest stands in no column of any row are nobody's: the sweeper takes them.

    Whoever writes such an object has its row committed within ORPHAN_GRACE_S.
    """
    KINDS[kind] = Kind(rows, columns, few)


def living() -> QuerySet[Photo]:
    """Photos whose bytes are kept."""
    return Photo.objects.exclude(state=Photo.State.WITHDRAWN)


for _kind, _column in COLUMNS.items():
    named_by(_kind, living, _column)


def needed(kind: str, prefix: str) -> set[str]:
    """The digests with this prefix, of no or two hex digits, that rows name."""
    found: set[str] = set()
    for column in KINDS[kind].columns:
        rows = KINDS[kind].rows()
        if prefix:
            # A range of the digest's own index, in every database; "g" follows "f" and every digit.
            stop = f"{int(prefix, 16) + 1:02x}" if prefix != "ff" else "g"
            rows = rows.filter(**{f"{column}__gte": prefix, f"{column}__lt": stop})
        found.update(rows.order_by().values_list(column, flat=True))
    return found


def is_needed(key: str) -> bool:
    """Whether a row names this object now. Raises KeyError for a kind that nobody registered."""
    kind, _, digest = key.partition("/")
    return any(rows.exists() for rows in _naming(KINDS[kind], digest))


def discard(key: str) -> bool:
    """Remove an object that no row needs. True if it is gone.

    Two rows may share an object. A rival that commits a row between our look and our delete is covered twice: we look again
    and put the bytes back, and the rival looks after its commit whether they are there (assure).
    """
    if is_needed(key):
        return False
    try:
        data = store().get(key)
    except MissingObject:
        return False
    store().delete(key)
    if is_needed(key):
        store().put(key, data)
        return False
    return True


def assure(key: str, data: bytes) -> None:
    """After the commit of a row: an erasure of the same bytes may have come between put and row, see discard()."""
    if store().size(key) is None:
        store().put(key, data)


def _naming(kind: Kind, digest: str) -> Iterator[QuerySet[Any]]:
    return (kind.rows().filter(**{column: digest}) for column in kind.columns)
