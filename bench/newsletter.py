"""VOTES → RANKING → EDITION → INBOX: how fast and fair a day is ranked, how fast leaderboards are, how fast and safe mail goes.

`make bench PART=newsletter` takes hours, most of them to count a million photos' fame; BENCH_QUICK=1 shows in some minutes that
it runs. `BENCH_ONLY=ranks` (`boards`, `mails`) measures one of the three.
"""

import os
from typing import Any

from bench import _boards, _mails, _ranks
from bench._facts import machine

WHAT = {"ranks": _ranks.measure, "mails": _mails.measure, "boards": _boards.measure}  # the last one keeps its database's name


def measure() -> dict[str, Any]:
    only = os.environ.get("BENCH_ONLY", "").strip()
    found = [measured() for name, measured in WHAT.items() if only in ("", name)]
    return {
        "part": "newsletter",
        "settings": {**machine(), "postgresql": "fsync off, as shipped otherwise"},
        "rows": [row for rows, _ in found for row in rows],
        "claims": [each for _, claims in found for each in claims],
    }
