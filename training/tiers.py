"""EXPORT → GATE: slow phones get the same network with a smaller input, where that is worth it.

A network that pools its features answers pictures of any size with the same weights. Measured with width 1.0, two trainings on
two machines (296 held-out photos, one thread): 256, 192, 160 and 128 pixels recognised 73.3, 73.6, 70.3 and 64.2 % in 13.7,
8.9, 5.8 and 3.6 ms; and 79.1, 79.1, 73.0 and 66.2 % in 6.8, 5.3, 2.4 and 2.1 ms. Pictures of 192 and 160 pixels that were made
smaller twice, as the gate does, were recognised within 1.4 points as often as those of a phone, which makes them smaller once.
"""

from collections.abc import Sequence

import numpy as np
from django.conf import settings
from PIL import Image

from training.comparison import Loss, paired_loss
from training.gate import Check


def side(full: int) -> int:
    """Pixels of the smaller input beside one of `full` pixels; 0: there is none."""
    return settings.TIER_LOW_PIXELS if full > settings.TIER_LOW_PIXELS else 0


def smaller(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 [n, s, s, 3] → uint8 [n, side, side, 3], as a phone makes a photo smaller (images.INPUT_SPEC)."""
    made = np.empty((len(pixels), side, side, 3), np.uint8)
    for row, picture in zip(made, pixels, strict=True):
        row[:] = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))
    return made


def refused(
    full: np.ndarray,
    small: np.ndarray,
    before: np.ndarray | None,
    *,
    groups: Sequence[str],
    same: Check,
    latency_ms: tuple[float, float],
) -> str:
    """Why the small file is left out of a release, in sentences; "" if it goes with it.

    bool [n] each: what the full file, the small one and the one that slow phones have (None: none) recognise of the same
    photos. `latency_ms` of the full and the small one.
    """
    said = [] if same.passed else [same.sentence]
    most = settings.TIER_LOW_LOSS_PERCENT / 100
    if (loss := paired_loss(full, small, groups)).low > most:
        said.append(f"The smaller input costs {_interval(loss)} of the photos, where {most:.0%} is the most.")
    if before is not None and (loss := paired_loss(before, small, groups)).low > 0:
        said.append(f"It recognises {_interval(loss)} less than what slow phones have.")
    if latency_ms[1] >= latency_ms[0]:
        said.append(f"It is no faster: {latency_ms[1]:.1f} ms beside {latency_ms[0]:.1f} ms.")
    return " ".join(said)


def _interval(loss: Loss) -> str:
    return f"{loss.loss:.1%} ({loss.low:.1%} … {loss.high:.1%})"
