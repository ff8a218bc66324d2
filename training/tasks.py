"""The worker's side of the night: opening tonight's slots, and starting what waits in a process of its own."""

from collector.models import Recognizer
from config.duties import duty
from training import process, runs


@duty(queue="train", due=runs.nights_due)
def open_nights(recognizer_id: int) -> None:
    opened, new = runs.open_slot(recognizer=Recognizer.objects.get(pk=recognizer_id), slot=runs.slot_for_tonight())
    if new:
        run.ring(opened.pk)


@duty(queue="train", due=runs.due)
def run(run_id: int) -> None:
    process.start(run_id)
