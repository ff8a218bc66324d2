"""The worker's side of nights and releases: slots, runs in processes of their own, photos, smaller files, rollouts."""

from uuid import UUID

from collector.models import Recognizer
from config.duties import duty
from training import checkpoints, deltas, looks, plan, process, runs, watch
from training.models import Run


@duty(queue="train", due=runs.nights_due)
def open_nights(recognizer_id: int) -> None:
    recognizer = Recognizer.objects.get(pk=recognizer_id)
    opened, new = runs.open_slot(recognizer=recognizer, slot=runs.slot_for_tonight(), long=plan.long_is_due(recognizer))
    if new:
        run.ring(opened.pk)


@duty(queue="train", due=runs.due)
def run(run_id: int) -> None:
    process.start(run_id)


@duty(queue="train", due=checkpoints.left)
def tidy(run_id: int) -> None:
    checkpoints.clear(Run.objects.get(pk=run_id))


@duty(queue="images", due=deltas.due)
def encode(pair: str) -> None:
    deltas.make(pair)


@duty(queue="images", due=looks.unseen)
def look(photo_id: str) -> None:
    looks.see(photo_id=UUID(photo_id))


@duty(queue="images", due=watch.due)
def watch_channel(channel_id: int) -> None:
    watch.look(channel_id=channel_id)
