"""FINE-TUNE on several machines, together: each takes its share of every batch, and all move by the average gradient.

MultiWorkerMirroredStrategy carries the steps and the collectives, one replica a process. The variables are each process's own
and not mirrored ones: they begin alike (`agree`) and every step moves them by one gradient, so they stay alike, for one
collective a step instead of one for each of some 160 variables.

Dropout's masks and random views differ from machine to machine, as they differ from photo to photo on one. Batch statistics,
where a recipe learns them, are those of a machine's share; their running averages are averaged in the end (`level`).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from training.cluster import Cluster
from training.errors import ReplicaLost, ReplicasDiffer, UnevenBatch

STEP_LIMIT_S = 300  # seconds in which all machines must have come to the same step; the first one is compiled meanwhile
MESSAGE = 1024  # bytes; room for what the chief says
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.UnknownError,  # among others: its port is taken
)


class Alone:
    """One process that trains for itself: every batch is its own, and there is nobody to average with."""

    index, size = 0, 1

    def share(self, batch: int) -> slice:
        """Which rows of a batch of so many photos are this machine's. Raises UnevenBatch."""
        return slice(None)

    def compiled(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """`step` as a TensorFlow function. Within it `mean` may be called."""
        return tf.function(step, jit_compile=False)  # XLA on a CPU was six times slower on depthwise convolutions

    def mean(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Each tensor's average over all machines."""
        return tensors

    def level(self, variables: Sequence[Any]) -> None:
        """Let Keras' variables be their average over all machines."""


class Replicas(Alone):
    """This process and those of the other machines; every call is made by all of them, in the same order.

    All but `share` raise ReplicaLost where another machine fell silent.
    """

    def __init__(self, cluster: Cluster) -> None:
        spec = tf.train.ClusterSpec({"worker": list(cluster.workers)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            spec, task_type="worker", task_id=cluster.index, rpc_layer="grpc"
        )
        self.index, self.size = cluster.index, len(cluster.workers)
        with _named_loss():
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        if self._strategy.num_replicas_in_sync != self.size:
            raise ReplicasDiffer("A machine shows several GPUs. Give each process one of them by CUDA_VISIBLE_DEVICES.")
        self._step_limit = tf.distribute.experimental.CommunicationOptions(timeout_seconds=STEP_LIMIT_S)
        self._summed = self._everywhere(lambda x: tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(x)))

    def share(self, batch: int) -> slice:
        if batch % self.size:
            fit = ", ".join(str(n) for n in range(1, batch + 1) if batch % n == 0)
            raise UnevenBatch(
                f"{batch} photos of a batch cannot be shared evenly among {self.size} machines. Name another number of them "
                f"in TF_CONFIG ({fit}).",
                batch=batch,
                machines=self.size,
            )
        return slice(self.index, None, self.size)

    def compiled(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return self._everywhere(step)

    def mean(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        context = tf.distribute.get_replica_context()
        return tuple(context.all_reduce(tf.distribute.ReduceOp.MEAN, list(tensors), options=self._step_limit))

    def level(self, variables: Sequence[Any]) -> None:
        flat = np.concatenate([np.ravel(variable.numpy()) for variable in variables])
        level = self._sum(flat) / self.size
        ends = np.cumsum([int(np.prod(variable.shape)) for variable in variables])[:-1]
        for variable, part in zip(variables, np.split(level, ends), strict=True):
            variable.assign(part.reshape(variable.shape))

    def agree(self, what: str, about: str) -> None:
        """Raises ReplicasDiffer, on all machines, unless all of them say the same `what`; `about` names it to people."""
        rows = np.zeros((self.size, hashlib.sha256().digest_size), np.float32)
        rows[self.index] = list(hashlib.sha256(what.encode()).digest())
        others = [index for index, row in enumerate(self._sum(rows)) if (row != rows[self.index]).any()]
        if others:
            raise ReplicasDiffer(
                f"Machine {self.index} and {', '.join(map(str, others))} differ in {about}. Give all the same version of this "
                "program and its packages, the same DATABASE_URL, store and BACKBONE_WEIGHTS.",
                others=others,
            )

    def announce(self, job: dict[str, Any] | None) -> None:
        """The chief: say what is trained next; None: nothing any more."""
        text = json.dumps(job).encode()
        assert len(text) <= MESSAGE
        self._sum(np.frombuffer(text.ljust(MESSAGE), np.uint8))

    def hear(self) -> dict[str, Any] | None:
        """The others: wait for what the chief says."""
        heard = self._sum(np.zeros(MESSAGE))
        job: dict[str, Any] | None = json.loads(heard.astype(np.uint8).tobytes())
        return job

    def _sum(self, numbers: np.ndarray) -> np.ndarray:
        """Over all machines, without a limit of time: one may have photos to load. float32, which every device can add."""
        total: np.ndarray = self._summed(tf.constant(numbers, tf.float32)).numpy()
        return total

    def _everywhere(self, function: Callable[..., Any]) -> Callable[..., Any]:
        together = tf.function(lambda *arguments: self._strategy.run(function, arguments))

        def call(*arguments: tf.Tensor) -> Any:
            with _named_loss():
                return together(*arguments)

        return call


@contextmanager
def _named_loss() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        first_line = error.message.strip().splitlines()[-1] if error.message else type(error).__name__
        raise ReplicaLost(f"Another machine fell silent, or the port of this one is taken ({first_line[:200]}).") from error
