"""EXPORT, on paper: which formats a release has, what each is for, and which ones are never made, with what was measured.

Pure: neither Django nor TensorFlow. The figures are of MobileNetV2, width 1.0, on 2,485 photos of groceries, one thread.
"""

from dataclasses import dataclass
from typing import Literal

from training.errors import HarmfulFormat, UnknownFormat


@dataclass(frozen=True)
class Format:
    """`executed`: whether the gate runs the very file; what is converted for another system is only inspected. `tiers`: of
    phones, which get it instead of another file; empty: any."""

    name: str
    about: str
    ending: str
    runtime: Literal["LiteRT", "Core ML", "none"]
    executed: bool
    tiers: tuple[str, ...] = ()


FLOAT32 = Format("float32", "LiteRT float32, for reference", ".tflite", "LiteRT", executed=True)
FLOAT16 = Format("float16", "LiteRT with float16 weights, float in and out", ".tflite", "LiteRT", executed=True)
INT8 = Format("int8", "LiteRT int8 per channel, uint8 in and out, for phones", ".tflite", "LiteRT", executed=True)
INT8_SMALL = Format(
    "int8-small", "LiteRT int8 with a smaller input, for slow phones", ".tflite", "LiteRT", executed=True, tiers=("low",)
)
COREML_FP16 = Format("coreml-fp16", "Core ML float16, converted, not executed", ".mlpackage.zip", "Core ML", executed=False)
COREML_INT8 = Format(
    "coreml-int8", "Core ML with 8-bit weights, converted, not executed", ".mlpackage.zip", "Core ML", executed=False
)
CANARIES = Format("canaries", "pictures by formula, by which a phone checks a file", ".png", "none", executed=False)

ALL = {each.name: each for each in (FLOAT32, FLOAT16, INT8, INT8_SMALL, COREML_FP16, COREML_INT8, CANARIES)}
LITERT = tuple(name for name, each in ALL.items() if each.runtime == "LiteRT" and not each.tiers)  # of the same input
COREML = tuple(name for name, each in ALL.items() if each.runtime == "Core ML")
BYTES_IN = (INT8.name, INT8_SMALL.name)  # a photo's bytes as they are

# What converters offer and phones must not get.
HARMFUL = {
    "dynamic-range": "its weights are unpacked at every call: 2.9 times as slow as float32",
    "per-tensor": "one scale for all channels of a layer: it recognised 16 % where float32 recognised 65 %",
    "int4": "four bits a weight: it recognised 8 % where float32 recognised 65 %",
    "a16w8": "no fast kernels for 16-bit activations: 43 times as slow as float32",
}


def named(name: str) -> Format:
    """The format of this name. Raises HarmfulFormat, with what was measured, and UnknownFormat."""
    if name in HARMFUL:
        raise HarmfulFormat(f"{name} is never made: {HARMFUL[name]}. Use int8.", format=name, measured=HARMFUL[name])
    if name not in ALL:
        raise UnknownFormat(f"There is no format {name!r}: use one of {', '.join(ALL)}.", format=name)
    return ALL[name]
