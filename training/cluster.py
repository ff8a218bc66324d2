"""FINE-TUNE on several machines, who they are: TF_CONFIG, and whether the others are there tonight. Loads no TensorFlow.

The first machine is the chief: it carries out the night. The others run `manage.py train_along` and do nothing but train.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from training.errors import BadCluster

if TYPE_CHECKING:
    from training.replicas import Replicas

GATHERING = "gathering"  # the stage of a run at which its chief waits for the other machines, and they find it
KNOCK_S = 0.5  # seconds between two looks whether a machine is there
EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
log = structlog.get_logger()
_team: Replicas | None = None


@dataclass(frozen=True)
class Cluster:
    """The machines that train together, "host:port" each, in the same order on all; this one is `workers[index]`."""

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def others(self) -> list[str]:
        return [address for place, address in enumerate(self.workers) if place != self.index]


def parse(text: str) -> Cluster | None:
    """What TF_CONFIG names; None where it is empty or names one machine. Raises BadCluster."""
    if not text:
        return None
    try:
        content = json.loads(text)
        jobs, task = content["cluster"], content["task"]
        workers, index = tuple(jobs["worker"]), task["index"]
        ports = [int(address.rpartition(":")[2]) for address in workers]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCluster(f"TF_CONFIG cannot be read ({type(error).__name__}: {error}). {_advice()}") from error
    if set(jobs) != {"worker"} or task.get("type") != "worker":
        raise BadCluster(f"TF_CONFIG names other jobs than workers; worker 0 is the chief. {_advice()}")
    if not isinstance(index, int) or not 0 <= index < len(workers) or len(set(workers)) < len(workers) or min(ports) < 1:
        raise BadCluster(f"TF_CONFIG's task is none of its workers, or two of them are one. {_advice()}")
    return Cluster(workers, index) if len(workers) > 1 else None


def team() -> Replicas | None:
    """The machines that train with this process; None: it trains alone."""
    return _team


def join(cluster: Cluster) -> Replicas:
    """Train together from now on, until this process ends. Waits for all; call it before anything else asks TensorFlow."""
    global _team
    from training.replicas import Replicas

    _team = Replicas(cluster)
    return _team


def gather(cluster: Cluster) -> Replicas | None:
    """Join the others if all of them are there within CLUSTER_WAIT_S; otherwise None: tonight the chief trains alone."""
    missing = absent(cluster.others, within_s=settings.CLUSTER_WAIT_S)
    if missing:
        log.warning("training alone", missing=missing)
        return None
    return join(cluster)


def absent(addresses: list[str], *, within_s: float) -> list[str]:
    """Those at which nobody listens after so many seconds; returns as soon as there are none."""
    deadline = time.monotonic() + within_s
    while missing := [address for address in addresses if not _listens(address)]:
        if time.monotonic() > deadline:
            break
        time.sleep(KNOCK_S)
    return missing


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError:
        return False
    return True


def _advice() -> str:
    return f"Write it like {EXAMPLE}, each machine with its own index, or unset it to train on one machine."
