"""The workers' side of INBOX and of FAME."""

from uuid import UUID

from collector.models import Recognizer
from config.duties import duty
from newsletter import delivery, fame_rows, forgetting, schedule, scores, subscriptions


@duty(queue="mail", due=schedule.unopened)
def open_slots(schedule_id: int) -> None:
    for slot_id in schedule.open_slots(schedule_id=schedule_id):
        compose_slot.ring(slot_id)


@duty(queue="mail", due=schedule.uncomposed)
def compose_slot(slot_id: int) -> None:
    schedule.compose_slot(slot_id=slot_id)


@duty(queue="mail", due=schedule.ripe)
def let_go(slot_id: int) -> None:
    if edition := schedule.let_go(slot_id=slot_id):
        deliver.ring(edition.pk)


@duty(queue="mail", due=delivery.due)
def deliver(edition_id: int) -> None:
    delivery.deliver(edition_id=edition_id)


@duty(queue="mail", due=subscriptions.unasked)
def ask(request_id: str) -> None:
    subscriptions.ask(request_id=UUID(request_id))


@duty(queue="mail", due=forgetting.overdue)
def forget_readers(what: str) -> None:
    forgetting.forget_old(what=what)


@duty(queue="mail", due=scores.due)
def settle(recognizer_id: int) -> None:
    scores.settle(recognizer_id=recognizer_id)


# Swept only, never rung: marks gather for FAME_LAG_S first.
@duty(queue="mail", due=fame_rows.due)
def recount(recognizer_id: int) -> None:
    fame_rows.settle(recognizer=Recognizer.objects.get(pk=recognizer_id))
