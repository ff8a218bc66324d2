"""VOTES → RANKING → EDITION → INBOX: how fast and fair a day is ranked, how fast leaderboards are, how fast and safe mail goes.

`make bench PART=newsletter` takes an hour, most of it to fill tables with ten million votes; BENCH_QUICK=1 shows in some
minutes that it runs. `BENCH_ONLY=ranks` (`mails`, `leaving`, `boards`) measures one of the four.
"""

import os
from typing import Any

from bench import _boards, _leaving, _mails, _ranks
from bench._facts import machine

# The last one keeps its database's name.
WHAT = {"ranks": _ranks.measure, "mails": _mails.measure, "leaving": _leaving.measure, "boards": _boards.measure}


def measure() -> dict[str, Any]:
    only = os.environ.get("BENCH_ONLY", "").strip()
    found = [measured() for name, measured in WHAT.items() if only in ("", name)]
    return {
        "part": "newsletter",
        "settings": {**machine(), "postgresql": "as shipped; for ranks, boards and kills fsync off"},
        "rows": [row for rows, _ in found for row in rows],
        "claims": [each for _, claims in found for each in claims],
    }
