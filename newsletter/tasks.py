"""The workers' side of INBOX and of FAME."""

from uuid import UUID

from collector.models import Recognizer
from config.duties import duty
from newsletter import delivery, fame_rows, subscriptions


@duty(queue="mail", due=delivery.due)
def deliver(edition_id: int) -> None:
    delivery.deliver(edition_id=edition_id)


@duty(queue="mail", due=subscriptions.unasked)
def ask(subscriber_id: str) -> None:
    subscriptions.ask(subscriber_id=UUID(subscriber_id))


# Swept only, never rung: marks gather for FAME_LAG_S first.
@duty(queue="mail", due=fame_rows.due)
def recount(recognizer_id: int) -> None:
    fame_rows.settle(recognizer=Recognizer.objects.get(pk=recognizer_id))
