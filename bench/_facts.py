"""What every part states and computes alike: the machine, how large the run is, percentiles, claims."""

import math
import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "var" / "bench"  # peers that were installed; never in git
QUICK = os.environ.get("BENCH_QUICK", "").strip().lower() in {"1", "true", "yes", "on"}


def whole(name: str, default: int, quick: int) -> int:
    """A size of the run: the environment's, else `default`, or `quick` with BENCH_QUICK=1."""
    return int(os.environ.get(name, "").strip() or (quick if QUICK else default))


def needed(name: str, part: str) -> str:
    """What the environment names, a file or folder that is there. Raises SystemExit, which says how to name it."""
    value = os.environ.get(name, "").strip()
    if not value or not Path(value).exists():
        raise SystemExit(f"Set {name}: PHOTOS=<folder with train/ and val/> BACKBONE_WEIGHTS=<file> make bench PART={part}")
    return value


def machine() -> dict[str, Any]:
    """What figures depend on, and nothing that tells whose machine it is."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("django", "djangorestframework", "gunicorn", "pillow")},
        "quick": QUICK,
    }


def say(text: str) -> None:
    """Progress goes to stderr: stdout is the result's."""
    print(text, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` (0…1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def claim(text: str, measure: Callable[[], float], goal: float, *, at_least: bool) -> dict[str, Any]:
    """`measure` raises KeyError where a peer was not measured; then the claim does not hold, and says so."""
    sign = "≥" if at_least else "≤"
    try:
        value = measure()
    except KeyError as missing:
        return {"claim": text, "value": f"not measured: {missing.args[0]}", "goal": f"{sign} {goal:g}", "holds": False}
    holds = value >= goal if at_least else value <= goal
    return {"claim": text, "value": round(value, 3), "goal": f"{sign} {goal:g}", "holds": bool(holds)}
