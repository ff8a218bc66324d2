"""PHONE: a volunteer takes a photo, or everything, back: rows become empty shells, bytes go, a receipt says what had learned.

One transaction makes the photos shells, writes tombstones and the receipt, and notes as StoreDebt what the store has to do.
The debts are paid right after the commit; a process that dies in between leaves them to the duty `collector.settle`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from collector import duplicates
from collector.errors import UnknownErasure, UnknownPhoto, VolunteerGone
from collector.models import Allowance, Decision, Erasure, Photo, Recognizer, StoreDebt, Tombstone, Upload, Volunteer
from collector.objects import COLUMNS, KINDS, discard
from collector.signals import erasure_described, photos_withdrawn, volunteer_erased
from collector.storage import store

T = TypeVar("T")
TOMBSTONES = "tombstones"  # kind in the store: empty objects that outlive the restoring of an old database
BATCH = 1000  # photos a statement carries; SQLite takes 32,766 values
AT_ONCE = 60  # debts that the process which answered pays itself: about 20 photos, a tenth of a second on a local disk
ERASED = UUID("00000000-0000-4000-8000-0000000000e0")  # the one row that the photo shells of all erased accounts belong to
# What a withdrawn photo's row no longer knows. Its UUID stays, so that a late PUT is answered with 410; split and accepted_at
# stay, so that a receipt can say which snapshots hold it.
SHELL: dict[str, object] = {
    "state": Photo.State.WITHDRAWN,
    "challenge": None,
    "label": None,
    "sent_sha256": "",
    "sha256": "",
    "content_type": "",
    "bytes": 0,
    "width": 0,
    "height": 0,
    "orientation": 1,
    "taken_hour": None,
    "device_model": "",
    "view_sha256": "",
    "thumbnail_sha256": "",
    "lease_until": None,
    "problem": "",
}


# ---- taking back -------------------------------------------------------------------------------------------------
def withdraw(*, photo_id: UUID, volunteer: Volunteer) -> Erasure:
    """Withdraw one photo of this volunteer. Withdrawing it again returns a receipt over nothing. Raises UnknownPhoto."""
    own = Photo.objects.filter(pk=photo_id, volunteer=volunteer)
    if not own.exists():
        raise UnknownPhoto(photo=str(photo_id))
    with transaction.atomic():
        return _withdraw(own, volunteer)


def erase(*, volunteer: Volunteer) -> Erasure:
    """Withdraw all photos of a volunteer and delete the row that said who it was; the token stops working.

    What stays are shells that belong to one row for all erased accounts, and decisions that name no moderator.
    Raises VolunteerGone where another call was faster.
    """
    with transaction.atomic():
        # First of all. Changing a unique column locks the row against every new reference to it (PostgreSQL's FOR UPDATE
        # conflicts with the foreign keys' KEY SHARE; SQLite has one writer): an upload or a vote in flight is either committed
        # and seen below, or its own commit fails because the row is gone.
        me = Volunteer.objects.filter(pk=volunteer.pk)
        if not me.update(token_hash=f"erased:{volunteer.pk.hex}", erased_at=timezone.now()):
            raise VolunteerGone
        own = Photo.objects.filter(volunteer=volunteer)
        erasure = _withdraw(own, volunteer)
        volunteer_erased.send(sender=Volunteer, volunteer=volunteer)
        Decision.objects.filter(photo__volunteer=volunteer).update(moderator=None)
        own.update(volunteer=_nobody())
        # A scan, by the end of "photos:<id>", "votes:<id>", …: whatever is counted a day, and erasures are rare.
        Allowance.objects.filter(subject__endswith=f":{volunteer.pk}").delete()
        # What is staged is removed by the duty `collector.sweep_upload`, which is due now; the row stays until it has been.
        Upload.objects.filter(volunteer=volunteer).update(sweep_at=timezone.now(), metadata="")
        _pay_soon(_bury([_mark("volunteer", volunteer.pk)]))
        me.delete()
    erasure.volunteer = None
    return erasure


def _withdraw(photos: QuerySet[Photo], volunteer: Volunteer) -> Erasure:
    """Inside a transaction: make the living ones of `photos` shells, and the receipt."""
    living = photos.exclude(state=Photo.State.WITHDRAWN)
    concerned = living.order_by().values_list("recognizer", flat=True).distinct()
    for recognizer in sorted(concerned):  # in one order, or two erasures could wait for each other
        # Whoever derives, decides or freezes a snapshot takes this turn too: what we read now stays as it is.
        Recognizer.objects.filter(pk=recognizer).update(turn=F("turn") + 1)
    columns = ("pk", *COLUMNS.values())
    rows = list(living.order_by("pk").values_list(*columns))
    receipt: dict[str, list[Any]] = {}
    debts: list[StoreDebt] = []
    for batch in _batches(rows):
        ids = [row[0] for row in batch]
        Photo.objects.filter(pk__in=ids).update(**SHELL)
        for _, facts in photos_withdrawn.send(sender=Photo, photo_ids=ids):
            for name, values in cast(dict[str, list[Any]], facts or {}).items():
                known = receipt.setdefault(name, [])
                known += [value for value in values if value not in known]
        duplicates.forget(ids)  # last: who is told may ask for what looked the same
        debts += _owe(f"{kind}/{digest}" for row in batch for kind, digest in zip(COLUMNS, row[1:], strict=True) if digest)
        debts += _bury([name for row in batch for name in (row[1], _mark("photo", row[0])) if name])
    _pay_soon(debts)
    return Erasure.objects.create(volunteer=volunteer, photos=len(rows), receipt=receipt)


def _nobody() -> Volunteer:
    made, _ = Volunteer.objects.get_or_create(
        pk=ERASED,
        defaults={
            "token_hash": "erased",  # the hash of no token
            "consent_version": "",
            "consented_at": timezone.now(),
            "erased_at": timezone.now(),
        },
    )
    return made


# ---- what the store has to do ------------------------------------------------------------------------------------
def owed() -> list[int]:
    """The oldest debts."""
    return list(StoreDebt.objects.order_by("pk").values_list("pk", flat=True)[:500])  # one sweep's worth


def settle(*, debt_id: int) -> None:
    """Pay one debt: write a tombstone, or remove an object that no row needs. Safe to repeat."""
    debt = StoreDebt.objects.filter(pk=debt_id).first()
    if debt is None:
        return
    kind = debt.key.partition("/")[0]
    if kind == TOMBSTONES:
        store().put(debt.key, b"")
    elif kind in KINDS:
        discard(debt.key)
    else:  # whoever asked (owe) had removed the only row that named it
        store().delete(debt.key)
    debt.delete()


def owe(keys: Iterable[str]) -> None:
    """Have these objects removed from the store once this transaction has committed: for apps above, whose rows named them."""
    _pay_soon(_owe(keys))


def _owe(keys: Iterable[str]) -> list[StoreDebt]:
    return StoreDebt.objects.bulk_create([StoreDebt(key=key) for key in keys], batch_size=BATCH)


def _bury(names: Sequence[str]) -> list[StoreDebt]:
    Tombstone.objects.bulk_create((Tombstone(sha256=name) for name in names), batch_size=BATCH, ignore_conflicts=True)
    return _owe(f"{TOMBSTONES}/{name}" for name in names)


def _pay_soon(debts: Sequence[StoreDebt]) -> None:
    """After the commit: bytes removed for a withdrawal that was rolled back could not be brought back."""

    def pay() -> None:
        for debt in debts[:AT_ONCE]:
            settle(debt_id=debt.pk)

    # robust: a store that is away must not turn a committed withdrawal into an error; the duty goes on.
    transaction.on_commit(pay, robust=True)


def _mark(kind: str, key: UUID) -> str:
    """The tombstone's name of a photo or a volunteer: from it nobody finds the UUID, but the UUID finds it."""
    return hashlib.sha256(f"{kind} {key}".encode()).hexdigest()


# ---- after a database was restored -------------------------------------------------------------------------------
def replay_tombstones() -> tuple[int, int]:
    """Withdraw again what an older database brought back; returns how many photos and accounts.

    The store's tombstones are read into rows; then living photos and volunteers are asked for by their own marks, so that
    another volunteer's photo of the same bytes stays, as it had stayed.
    """
    names = (item.key.partition("/")[2] for prefix in range(256) for item in store().list(TOMBSTONES, f"{prefix:02x}"))
    for batch in _batches(name for name in names if len(name) == 64):
        Tombstone.objects.bulk_create((Tombstone(sha256=name) for name in batch), ignore_conflicts=True)
    people = list(_marked("volunteer", Volunteer.objects.filter(erased_at__isnull=True)))
    for key in people:
        erase(volunteer=Volunteer.objects.get(pk=key))
    photos = list(_marked("photo", Photo.objects.exclude(state=Photo.State.WITHDRAWN)))
    for key in photos:
        photo = Photo.objects.select_related("volunteer").get(pk=key)
        withdraw(photo_id=photo.pk, volunteer=photo.volunteer)
    return len(photos), len(people)


def _marked(kind: str, rows: QuerySet[Any]) -> Iterator[UUID]:
    for batch in _batches(rows.order_by("pk").values_list("pk", flat=True).iterator()):
        names = {_mark(kind, key): key for key in batch}
        buried = Tombstone.objects.filter(sha256__in=names).values_list("sha256", flat=True)
        yield from (names[name] for name in buried)


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


# ---- the receipt -------------------------------------------------------------------------------------------------
def receipt_of(*, erasure_id: UUID) -> dict[str, Any]:
    """A receipt as it stands now. Raises UnknownErasure."""
    erasure = Erasure.objects.filter(pk=erasure_id).first()
    if erasure is None:
        raise UnknownErasure(erasure=str(erasure_id))
    return described(erasure)


def described(erasure: Erasure) -> dict[str, Any]:
    """JSON-ready: the row, and what the apps above say of the models today. Nothing is copied, so nothing gets out of date."""
    answer: dict[str, Any] = {
        "id": erasure.pk,
        "requested_at": erasure.requested_at,
        "photos": erasure.photos,
        "receipt": dict(erasure.receipt),
        "releases": [],
        "model_free_at": erasure.requested_at,
    }
    for _, facts in erasure_described.send(sender=Erasure, erasure=erasure):
        news = dict(cast(dict[str, Any], facts or {}))
        answer["receipt"] |= news.pop("receipt", {})
        answer |= news
    return answer
