"""The doorbell: a duty is work that rows describe; whoever hears of a row first does it, and the sweeper rings again.

A duty names the rows that are due and the verb that handles one of them. Two runners share that definition: Celery tasks
where there is a broker (`config.celery`), and `manage.py work` where there is none. Neither holds any truth: a lost ring,
an emptied Redis or a killed worker costs time, never work.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from celery import current_app, shared_task
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import autodiscover_modules

Queue = Literal["images", "mail", "train"]
log = structlog.get_logger()
DUTIES: dict[str, "Duty"] = {}


@dataclass(frozen=True)
class Duty:
    """`due()` lists the keys (str or int, JSON-ready) of rows that wait; `perform(key)` does one and may be called twice."""

    name: str
    queue: Queue
    due: Callable[[], Iterable[Any]]
    perform: Callable[[Any], None]

    def ring(self, key: Any) -> None:
        """After commit, tell a worker that this row waits. Without a broker, `manage.py work` finds it by itself."""
        if settings.REDIS_URL:
            # robust: a broker that is away must not fail the request; the sweeper rings again.
            transaction.on_commit(lambda: _send(self, key), robust=True)


def duty(*, queue: Queue, due: Callable[[], Iterable[Any]]) -> Callable[[Callable[[Any], None]], Duty]:
    """Make a Celery task and a swept duty of one plain function."""

    def register(perform: Callable[[Any], None]) -> Duty:
        name = f"{perform.__module__.removesuffix('.tasks')}.{perform.__name__}"
        shared_task(name=name, queue=queue, ignore_result=True)(perform)
        DUTIES[name] = Duty(name, queue, due, perform)
        return DUTIES[name]

    return register


def sweep() -> int:
    """Ring for every row that is due. Rings may be doubled: a claim decides who works. Returns the number of rings."""
    rung = 0
    for item in _all_duties():
        for key in item.due():
            _send(item, key)
            rung += 1
    return rung


def work_once(stop: Callable[[], bool] = lambda: False) -> int:
    """Do everything that is due, here and now, one row after another. Returns how many rows were handled.

    `stop` is asked between two rows: a worker that was told to leave finishes the row in hand.

    A row whose verb raises is logged and left to its lease: one bad photo must not stop the others.
    """
    handled = 0
    for item in _all_duties():
        for key in list(item.due()):
            if stop():
                return handled
            try:
                item.perform(key)
            except Exception:
                log.exception("duty failed", duty=item.name, key=str(key))
            handled += 1
    return handled


def _all_duties() -> list[Duty]:
    autodiscover_modules("tasks")  # a process that imported no API knows no duties yet; repeating it costs a look-up
    return list(DUTIES.values())


def _send(item: Duty, key: Any) -> None:
    # expires: an older ring is worth nothing, the next sweep rings again.
    current_app.send_task(item.name, args=[key], queue=item.queue, expires=settings.SWEEP_S * 10)
