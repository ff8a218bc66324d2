"""SNAPSHOT → FINE-TUNE: which accounts a night does not learn from, decided once for all its attempts and machines."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from training import checkpoints, plan, runs, suspects, trust
from training.checkpoints import Result
from training.models import Run
from training.plan import Plan
from training.seen import Seen, joined
from training.suspects import Suspicion

STAGE = "distrust"


def decide(run: Run, tonight: Plan, parts: Sequence[Seen], doubted: Sequence[Suspicion]) -> Plan:
    """The plan without the accounts that the night's suspects speak against; `parts` are photos of all splits, `doubted` what
    is kept (`suspects.keep`) of them, joined.

    Kept like a training: a moderator's decision between two attempts would otherwise change what the second one learns from.
    Where a night looks for no suspects, every account is trusted. Raises FencedOff.
    """
    if not tonight.cached:
        return tonight

    def work() -> Result:
        ids, groups, truth, features = joined(parts)
        settled = suspects.settled(run)

        def doubts(rows: np.ndarray) -> np.ndarray:
            found = doubted
            if len(rows) < len(ids):
                found = suspects.find(
                    features=features[rows],
                    truth=truth[rows],
                    groups=[groups[row] for row in rows],
                    labels=len(tonight.classes.labels),
                    seed=tonight.recipes[0].seed,
                )
            return suspects.taken_for((each for each in found if ids[rows[each.index]] not in settled), len(rows))

        found = trust.distrusted(of=groups, truth=truth, doubts=doubts)
        return Result({"distrusted": [asdict(each) for each in found]}, {})

    decided = _without(tonight, checkpoints.stage(run, STAGE, tonight.digest, work))
    runs.write(run, metrics=run.metrics | {"distrusted": trust.summed(decided.distrusted)})
    return decided


def heard(run: Run, tonight: Plan) -> Plan:
    """The same on a machine that trains along: what the chief decided. Where this is not to be had, their plans differ and
    they cannot agree."""
    kept = checkpoints.kept(run, STAGE, tonight.digest)
    return _without(tonight, kept) if kept else tonight


def _without(tonight: Plan, kept: Result) -> Plan:
    return plan.without(tonight, [trust.Distrusted(**each) for each in kept.facts["distrusted"]])
