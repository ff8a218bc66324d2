"""`manage.py edition`: compose an edition, and on demand freeze and send it; says what it did in numbers."""

from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from collector.models import Recognizer
from config.errors import Problem
from newsletter import delivery, progress
from newsletter.edition import compose, freeze
from newsletter.models import Edition
from newsletter.tasks import deliver

STEPS: dict[str, Callable[..., object]] = {"pause": progress.pause, "resume": progress.resume, "cancel": progress.cancel}
PROGRESS_DELAY_S = 2  # what is over sooner needs no bar


class Command(BaseCommand):
    help = "Compose the edition of a recognizer and a day; with --send freeze it and send it now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", required=True, help="slug")
        parser.add_argument("--day", type=date.fromisoformat, help="YYYY-MM-DD (UTC); today if left out")
        parser.add_argument("--kind", choices=Edition.Kind.values, default=Edition.Kind.DAILY)
        step = parser.add_mutually_exclusive_group()
        step.add_argument("--send", action="store_true", help="freeze it, and send to every confirmed subscriber who wants it")
        step.add_argument("--pause", action="store_true", help="begin no further mail of it until --resume")
        step.add_argument("--resume", action="store_true", help="go on with the rest")
        step.add_argument("--cancel", action="store_true", help="send no mail of it any more, for good")

    def handle(self, *args: Any, **options: Any) -> None:
        recognizer = Recognizer.objects.filter(slug=options["recognizer"]).first()
        if recognizer is None:
            known = ", ".join(Recognizer.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no recognizer {options['recognizer']!r}. There are: {known}.")
        try:
            day = options["day"] or timezone.now().date()
            if step := next((name for name in STEPS if options[name]), None):
                self._step(recognizer, day, options["kind"], step)
                return
            edition = compose(recognizer=recognizer, day=day, kind=options["kind"])
            self.stdout.write(f"{edition}: {edition.entries.count()} photos, {edition.get_state_display()}.")
            if options["send"]:
                self._send(edition)
        except Problem as problem:
            raise CommandError(f"{problem.title} {problem.detail}") from problem

    def _step(self, recognizer: Recognizer, day: date, kind: str, step: str) -> None:
        edition = Edition.objects.filter(recognizer=recognizer, day=day, kind=kind).first()
        if edition is None:
            raise CommandError(f"{recognizer.name} has no {kind} edition of {day}.")
        STEPS[step](edition=edition)
        if step == "resume":
            deliver.ring(edition.pk)
        self.stdout.write(f"{edition.get_state_display().capitalize()}. {progress.standing(edition=edition).says()}")

    def _send(self, edition: Edition) -> None:
        if edition.state == Edition.State.DRAFT:
            self.stdout.write(f"Frozen for {freeze(edition=edition)} confirmed subscribers.")
            deliver.ring(edition.pk)  # workers help, if there are any; the claim keeps them apart
        waiting = delivery.progress(edition=edition)["queued"]
        with tqdm(total=waiting, unit=" mails", delay=PROGRESS_DELAY_S, leave=False) as bar:
            delivery.deliver(edition_id=edition.pk, tick=bar.update)
        edition.refresh_from_db()
        counts = ", ".join(f"{count} {state}" for state, count in delivery.progress(edition=edition).items() if count)
        self.stdout.write(f"{edition.get_state_display().capitalize()}. Deliveries: {counts or 'none'}.")
