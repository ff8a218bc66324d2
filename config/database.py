"""How requests share the database: connections of a pool on PostgreSQL, turns at writing on SQLite; and how much is read."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction

TURN = "sqlite-writer.lock"  # in VAR_DIR


def lend_connection_back() -> None:
    """Before a wait for a phone: others use the database meanwhile, however many phones are slow.

    Only where connections are pooled (the web process on PostgreSQL); in a transaction the connection is needed on.
    """
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()


@contextmanager
def turn_at_writing() -> Iterator[None]:
    """Around a short transaction that many requests make at once: on SQLite they queue for its one writer.

    SQLite itself lets who finds it busy sleep up to a tenth of a second and look again: with 16 phones at once a third of the
    throughput was lost, and single answers took more than a second. The kernel wakes the next one at once. PostgreSQL has rows
    to lock and needs no turns. A process that dies leaves no lock behind.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    lock = os.open(settings.VAR_DIR / TURN, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def reading_to_the_end() -> Iterator[None]:
    """Around queries of very many rows that are fetched in parts, all of them: PostgreSQL plans for that.

    Otherwise it plans for the first tenth of the rows, and outside of a transaction it writes all of them down before it gives
    the first one away: a million votes took twice as long. SQLite has one plan; a transaction there would keep its writer out.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL cursor_tuple_fraction = 1")
        yield
