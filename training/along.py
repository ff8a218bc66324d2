"""FINE-TUNE on several machines, the others' side: train what the chief trains, and leave everything else to it.

A process takes part in one night, because TensorFlow joins a cluster once. Nothing is written but cached views.
"""

import os
import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from training import cluster, distrust, plan
from training.cluster import Cluster
from training.images import Progress
from training.models import Run
from training.photos import Photos, load, without
from training.plan import Plan
from training.process import LOST

LOOK_S = 1.0  # seconds between two looks for a chief that gathers
log = structlog.get_logger()


def waiting() -> Run | None:
    """A night whose chief waits for the other machines."""
    return Run.objects.filter(state=Run.State.RUNNING, stage=cluster.GATHERING).select_related("recognizer").first()


def wait() -> Run:
    """The next night whose chief gathers."""
    while (run := waiting()) is None:
        connection.close()  # it may be hours, and the database restart meanwhile
        time.sleep(LOOK_S)
    return run


def take_part(run: Run, machines: Cluster, *, progress: Progress) -> int:
    """Train along until the chief has trained all it wants; returns how many trainings that were.

    Raises ReplicaLost where the chief, or another, fell silent, and ReplicasDiffer. The process ends when the run does.
    """
    log.info("training along", run=str(run), machine=machines.index)
    Watch(run).start()
    team = cluster.join(machines)
    trained = 0
    tonight: Plan | None = None
    while (job := team.hear()) is not None:
        if tonight is None:  # the chief's is final now
            run.refresh_from_db()
            tonight = distrust.heard(run, plan.of(run))
        team.agree(tonight.digest, plan.ABOUT)
        if not trained:
            # By the chief's own steps, so that they come in its order: all is looked at already, this only reads.
            photos = without(tonight, load(run, tonight, progress))
        _train(tonight, job, photos, progress)
        trained += 1
    return trained


def _train(tonight: Plan, job: dict[str, Any], photos: Photos, progress: Progress) -> None:
    from training.finetune import learn

    recipe = next(way for way in tonight.recipes if way.name == job["recipe"])
    learned = photos.learnable if job["refit"] else photos.train
    learn(recipe, tonight.start, train=learned, labels=tonight.classes.labels, progress=progress)


class Watch(threading.Thread):
    """Ends this process when the chief's attempt is over: one that waits for a chief within TensorFlow cannot be asked to."""

    def __init__(self, run: Run) -> None:
        super().__init__(name="watch", daemon=True)
        self.run_id, self.fence = run.pk, run.fence

    def run(self) -> None:
        while self._goes_on():
            connection.close()  # the next look may find another server
            time.sleep(settings.RUN_LEASE_S / 4)
        log.warning("the chief's attempt is over, ending", run=self.run_id, fence=self.fence)
        os._exit(LOST)

    def _goes_on(self) -> bool:
        try:
            return Run.objects.filter(pk=self.run_id, fence=self.fence, state=Run.State.RUNNING).exists()
        except DatabaseError:
            return True  # asked again: the chief has a heartbeat of its own
