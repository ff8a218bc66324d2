"""INBOX: how far an edition's sending is, told honestly, and the verbs that pause, resume and cancel it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from newsletter.delivery import cancel_queued, finish, progress
from newsletter.errors import NotBeingSent
from newsletter.models import Delivery, Edition, Intervention

RATE_S = 60  # seconds over which the rate is taken: a retry's pause shall not look like a standstill at once
State = Edition.State
Verb = Intervention.Verb


@dataclass(frozen=True)
class Standing:
    """Rows by state; mails handed over in the last minute, per second; seconds that the queue takes at that rate, if known."""

    counts: dict[str, int]
    per_s: float
    left_s: int | None

    @property
    def open(self) -> int:
        return self.counts["queued"] + self.counts["sending"]

    def says(self) -> str:
        """One sentence in which every state is named: nothing that went wrong hides behind a percentage."""
        counted = ", ".join(f"{self.counts[state]:,} {state}" for state in Delivery.State.values if self.counts[state])
        rate = f", {self.per_s:.1f} mails/s" if self.per_s else ""
        left = f", about {max(1, round(self.left_s / 60))} minutes left" if self.left_s is not None else ""
        return f"Of {self.counts['total']:,} deliveries: {counted or 'none'}{rate}{left}."


def standing(*, edition: Edition) -> Standing:
    """Where an edition's sending stands now."""
    counts = progress(edition=edition)
    since = timezone.now() - timedelta(seconds=RATE_S)
    done = edition.deliveries.filter(state=Delivery.State.SENT, ended_at__gte=since).count()
    per_s = done / RATE_S
    left_s = round(counts["queued"] / per_s) if per_s and counts["queued"] and edition.state == State.FROZEN else None
    return Standing(counts, per_s, left_s)


def pause(*, edition: Edition, by: Any = None) -> None:
    """FROZEN → PAUSED. Each worker ends the mail in hand and begins no other. Raises NotBeingSent."""
    _move(edition, [State.FROZEN], State.PAUSED, Verb.PAUSE, by)


def resume(*, edition: Edition, by: Any = None) -> None:
    """PAUSED → FROZEN; the caller rings `deliver`. Raises NotBeingSent."""
    _move(edition, [State.PAUSED], State.FROZEN, Verb.RESUME, by)
    finish(edition_id=edition.pk)  # all may have ended while it was paused
    edition.refresh_from_db()


def cancel(*, edition: Edition, by: Any = None) -> int:
    """FROZEN or PAUSED → CANCELLED; how many rows get no mail. What is in flight ends as it ends. Raises NotBeingSent."""
    with transaction.atomic():
        _move(edition, [State.FROZEN, State.PAUSED], State.CANCELLED, Verb.CANCEL, by)
        return cancel_queued(edition_id=edition.pk)


def _move(edition: Edition, old: list[State], new: State, verb: Verb, by: Any) -> None:
    with transaction.atomic():
        if not Edition.objects.filter(pk=edition.pk, state__in=old).update(state=new):
            edition.refresh_from_db()
            raise NotBeingSent(
                f"{edition} is {edition.state}. Only what is {' or '.join(old)} can be {verb.label}.",
                edition=edition.pk,
                state=edition.state,
            )
        counts = progress(edition=edition)
        met = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        Intervention.objects.create(edition=edition, verb=verb, by=by, note=met[:200])
    edition.refresh_from_db()
