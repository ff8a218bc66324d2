"""FINE-TUNE, one phase: AdamW with a warm-up and a cosine to zero, so that the last weights are the ones to keep."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.errors import TrainingDiverged
from training.images import Progress

Batch = tuple[np.ndarray, np.ndarray]  # a model's input [b, …] and the label indices int64 [b]


@dataclass(frozen=True)
class Phase:
    """`epochs` passes of `steps` batches each; `rate` is the peak, reached after one epoch."""

    name: str
    epochs: int
    steps: int
    rate: float
    weight_decay: float
    label_smoothing: float

    def run(
        self,
        forward: Callable[[tf.Tensor], tf.Tensor],
        variables: list[keras.Variable],
        batches: Callable[[int], Iterator[Batch]],
        progress: Progress,
    ) -> list[float]:
        """Train `variables` in place so that forward(x) → logits fits batches(epoch); returns each epoch's mean loss.

        `forward` is traced once, with float32 x, and all batches are of one size. Raises TrainingDiverged when a loss is no
        number.
        """
        step = self._step(forward, variables)
        losses = []
        for epoch in range(self.epochs):
            total = 0.0
            for number, (x, y) in enumerate(batches(epoch)):
                rate = self._rate(epoch * self.steps + number)
                total += float(step(tf.constant(x), tf.constant(y), tf.constant(rate, tf.float32)))
            if not math.isfinite(total):  # a sum: one bad step is enough
                raise TrainingDiverged(
                    f"The loss was {total} in epoch {epoch + 1} of {self.name}. Lower the recipe's rate.",
                    phase=self.name,
                    epoch=epoch + 1,
                )
            losses.append(round(total / self.steps, 4))
            progress(self.name, epoch + 1, self.epochs)
        return losses

    def _step(
        self, forward: Callable[[tf.Tensor], tf.Tensor], variables: list[keras.Variable]
    ) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
        """A compiled function (x, y, rate) → loss that moves the variables by one step."""
        plain = [variable.value for variable in variables]
        optimizer = _FlatAdamW(plain, self.weight_decay)

        @tf.function(jit_compile=False)  # XLA on a CPU was six times slower on depthwise convolutions
        def step(x: tf.Tensor, y: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                logits = forward(tf.cast(x, tf.float32))
                classes = logits.shape[-1]
                wanted = tf.one_hot(y, classes) * (1 - self.label_smoothing) + self.label_smoothing / classes
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
            optimizer.apply(tape.gradient(loss, plain), rate)
            return loss

        return step

    def _rate(self, step: int) -> float:
        if step < self.steps:
            return self.rate * (step + 1) / self.steps
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - self.steps) / max(1, (self.epochs - 1) * self.steps)))


class _FlatAdamW:
    """AdamW over all weights as one vector, gradients clipped to norm 1.

    Keras' own updates each of some 160 variables by a dozen operations: on two cores that cost 20 s to compile and a fifth of
    every step of a network this small.
    """

    def __init__(self, variables: list[tf.Variable], weight_decay: float) -> None:
        self.variables = variables
        self.sizes = [math.prod(variable.shape) for variable in variables]
        self.mean, self.square = (tf.Variable(tf.zeros(sum(self.sizes))) for _ in range(2))
        self.step = tf.Variable(0.0)
        # Kernels decay; biases, gamma and beta, which have one dimension, do not.
        decays = [np.full(size, weight_decay * (len(v.shape) > 1)) for v, size in zip(variables, self.sizes, strict=True)]
        self.decay = np.concatenate(decays).astype(np.float32)

    def apply(self, gradients: list[tf.Tensor], rate: tf.Tensor) -> None:
        flat = _flat(gradients)
        flat *= tf.minimum(1.0, 1.0 / (tf.norm(flat) + 1e-6))
        self.step.assign_add(1.0)
        mean = self.mean.assign(0.9 * self.mean + 0.1 * flat)
        square = self.square.assign(0.999 * self.square + 0.001 * flat * flat)
        unbiased = tf.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        change = rate * (unbiased * mean / (tf.sqrt(square) + 1e-7) + self.decay * _flat(self.variables))
        for variable, part in zip(self.variables, tf.split(change, self.sizes), strict=True):
            variable.assign_sub(tf.reshape(part, variable.shape))


def _flat(tensors: list[tf.Tensor] | list[tf.Variable]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
