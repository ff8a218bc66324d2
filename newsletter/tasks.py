"""The mail worker's side of INBOX."""

from uuid import UUID

from config.duties import duty
from newsletter import delivery, subscriptions


@duty(queue="mail", due=delivery.due)
def deliver(edition_id: int) -> None:
    delivery.deliver(edition_id=edition_id)


@duty(queue="mail", due=subscriptions.unasked)
def ask(subscriber_id: str) -> None:
    subscriptions.ask(subscriber_id=UUID(subscriber_id))
