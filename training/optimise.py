"""FINE-TUNE, one phase: AdamW with a warm-up and a cosine to zero, and a running average of the weights beside it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.errors import TrainingDiverged
from training.images import Progress
from training.recipe import Recipe
from training.replicas import Alone

# A model's input [b, …], and what it should answer: float32 [b, classes], rows sum to one.
Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Phase:
    """`epochs` passes of `steps` batches each; `rate` is the peak, reached after one epoch. `begun`: how many of them an
    earlier process has done already."""

    name: str
    epochs: int
    steps: int
    rate: float
    weight_decay: float
    label_smoothing: float
    average: float = 0.0
    begun: int = 0

    def run(
        self,
        forward: Callable[[tf.Tensor], tf.Tensor],
        variables: list[keras.Variable],
        batches: Callable[[int], Iterator[Batch]],
        progress: Progress,
        replicas: Alone | None = None,
        shares: Sequence[float] | None = None,
    ) -> list[float]:
        """Train `variables` in place so that forward(x) → logits fits batches(epoch); returns each epoch's mean loss.

        Where `replicas` train together, batches are this machine's share, and the losses those of all. `shares`: of the rate,
        for each of the variables; None: all of it.

        `forward` is traced once, with float32 x, and all batches are of one size. In the end the variables hold their running
        average (Polyak and Juditsky, 1992), where the phase keeps one. Raises TrainingDiverged when a loss is no number.
        """
        optimizer = FlatAdamW([variable.value for variable in variables], self.weight_decay, self.average, shares)
        step = self._step(forward, optimizer, replicas or Alone())
        losses = []
        for epoch in range(self.begun, self.epochs):
            total = 0.0
            for number, (x, wanted) in enumerate(batches(epoch)):
                rate = self._rate(epoch * self.steps + number)
                total += float(step(tf.constant(x), tf.constant(wanted), tf.constant(rate, tf.float32)))
            if not math.isfinite(total):  # a sum: one bad step is enough
                raise TrainingDiverged(
                    f"The loss was {total} in epoch {epoch + 1} of {self.name}. Lower the recipe's rate.",
                    phase=self.name,
                    epoch=epoch + 1,
                )
            losses.append(round(total / self.steps, 4))
            progress(self.name, epoch + 1, self.epochs)
        optimizer.settle()
        return losses

    def _step(
        self, forward: Callable[[tf.Tensor], tf.Tensor], optimizer: "FlatAdamW", replicas: Alone
    ) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
        """A compiled function (x, wanted, rate) → loss that moves the variables by one step."""

        def step(x: tf.Tensor, wanted: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                logits = tf.cast(forward(tf.cast(x, tf.float32)), tf.float32)
                smooth = wanted * (1 - self.label_smoothing) + self.label_smoothing / logits.shape[-1]
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits))
            gradient, shown = replicas.mean(_flat(tape.gradient(loss, optimizer.variables)), loss)
            optimizer.apply(gradient, rate)
            return shown

        return replicas.compiled(step)

    def _rate(self, step: int) -> float:
        if step < self.steps:
            return self.rate * (step + 1) / self.steps
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - self.steps) / max(1, (self.epochs - 1) * self.steps)))


def phase(name: str, recipe: Recipe, *, epochs: int, rate: float, photos: int, average: float = 0.0, begun: int = 0) -> Phase:
    """The recipe's phase over so many photos."""
    steps = math.ceil(photos / recipe.batch)
    return Phase(name, epochs, steps, rate, recipe.weight_decay, recipe.label_smoothing, average, begun)


class FlatAdamW:
    """AdamW over all weights as one vector, gradients clipped to norm 1.

    Keras' own updates each of some 160 variables by a dozen operations: on two cores that cost 20 s to compile and a fifth of
    every step of a network this small.
    """

    def __init__(
        self, variables: list[tf.Variable], weight_decay: float, average: float, shares: Sequence[float] | None = None
    ) -> None:
        self.variables = variables
        self.sizes = [math.prod(variable.shape) for variable in variables]
        self.mean, self.square = (tf.Variable(tf.zeros(sum(self.sizes))) for _ in range(2))
        self.step = tf.Variable(0.0)
        self.decay = average
        self.average = tf.Variable(_flat(variables)) if average else None
        # Kernels decay; biases, gamma and beta, which have one dimension, do not.
        decays = [np.full(size, weight_decay * (len(v.shape) > 1)) for v, size in zip(variables, self.sizes, strict=True)]
        self.weight_decay = np.concatenate(decays).astype(np.float32)
        self.shares = np.repeat(np.array(shares, np.float32), self.sizes) if shares else np.float32(1)

    def apply(self, flat: tf.Tensor, rate: tf.Tensor) -> None:
        """One step by the variables' gradient as one vector. Called while a function is traced."""
        flat *= tf.minimum(1.0, 1.0 / (tf.norm(flat) + 1e-6))
        self.step.assign_add(1.0)
        mean = self.mean.assign(0.9 * self.mean + 0.1 * flat)
        square = self.square.assign(0.999 * self.square + 0.001 * flat * flat)
        unbiased = tf.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        weights = _flat(self.variables)
        weights -= rate * self.shares * (unbiased * mean / (tf.sqrt(square) + 1e-7) + self.weight_decay * weights)
        self._write(weights)
        if self.average is not None:
            # Young averages forget faster: otherwise they would remember the weights before the phase.
            decay = tf.minimum(self.decay, (1 + self.step) / (10 + self.step))
            self.average.assign(decay * self.average + (1 - decay) * weights)

    def settle(self) -> None:
        """Let the variables be their running average, where there is one."""
        if self.average is not None:
            self._write(self.average)

    def _write(self, flat: tf.Tensor) -> None:
        for variable, part in zip(self.variables, tf.split(flat, self.sizes), strict=True):
            variable.assign(tf.reshape(part, variable.shape))


def _flat(tensors: list[tf.Tensor] | list[tf.Variable]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
