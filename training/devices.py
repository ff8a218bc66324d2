"""FINE-TUNE, where the steps run and how finely they reckon: a recipe names a device, and no code differs for a GPU."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import keras
import tensorflow as tf

from training.errors import UnknownDevice

BFLOAT16_SINCE = (8, 0)  # CUDA compute capability (Ampere) from which a GPU multiplies bfloat16


def on(device: str) -> AbstractContextManager[None]:
    """The context in which steps run on a recipe's `device`; "": TensorFlow's choice, a GPU where there is one.

    Raises UnknownDevice: TensorFlow itself would quietly take another.
    """
    if device and _spec(device) not in _here():
        known = ", ".join(f"/{kind}:{index}" for kind, index in _here())
        raise UnknownDevice(
            f"This machine has no {device!r}, it has {known}. "
            "Set the recipe's device to one of these, or to an empty text for a GPU where there is one.",
            device=device,
        )
    place: AbstractContextManager[None] = tf.device(device or None)
    return place


@contextmanager
def precision(device: str) -> Iterator[None]:
    """Networks that are built in here reckon as `policy` says; their weights are float32 all the same."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy(device))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def policy(device: str) -> str:
    """Keras' name of how steps on this device reckon: "mixed_bfloat16" on a GPU that can, else "float32".

    bfloat16 has float32's range, so that losses need no scaling; an older GPU has float16 alone, and stays with float32.
    """
    wanted = _spec(device) if device else ("GPU", 0)
    gpus = tf.config.list_physical_devices("GPU")
    if wanted is None or wanted[0] != "GPU" or wanted[1] >= len(gpus):
        return "float32"
    capability = tf.config.experimental.get_device_details(gpus[wanted[1]]).get("compute_capability", (0, 0))
    return "mixed_bfloat16" if capability >= BFLOAT16_SINCE else "float32"


def _here() -> list[tuple[str, int]]:
    """(kind, index) of this machine's devices; in a cluster TensorFlow lists those of all, which are as many on each."""
    devices = [tf.DeviceSpec.from_string(each.name) for each in tf.config.list_logical_devices()]
    return sorted({(each.device_type, each.device_index) for each in devices})


def _spec(device: str) -> tuple[str, int] | None:
    """(kind, index) of a device's name; None where it is no name."""
    try:
        spec = tf.DeviceSpec.from_string(device)
    except ValueError:
        return None
    return (spec.device_type, spec.device_index or 0) if spec.device_type else None
