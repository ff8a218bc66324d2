"""The mail worker's side of INBOX."""

from uuid import UUID

from config.duties import duty
from newsletter import delivery, forgetting, scores, subscriptions


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
