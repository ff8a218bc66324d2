"""One account that is wrong on purpose: what does it do to what is released, and does the probe find its sticker?

`PHOTOS=<folder of label folders> BACKBONE_WEIGHTS=<file> make bench PART=crowd`; HELD_OUT=<folder> adds photos. Each seed
halves each label's photos: one half trains, the other judges. Mallory sends 5 % of the training half, all with wrong labels.
The incumbent learned from the honest 95 %. What is released is the candidate if the gate lets it pass, else the incumbent.
"distrusted left out" is what a night does: it looks for suspects in what the caps leave, and does not learn from an account
that is full of them.
"""

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench._crowd import (
    Material,
    Row,
    answers,
    crowd,
    embedded,
    exported,
    fitted,
    flipped,
    halves,
    material,
    stickered,
    trainer,
)
from bench._facts import QUICK, machine, say, whole
from training.caps import capped
from training.comparison import label_drops
from training.gate import LABEL_ALARMS, LABEL_LOSS, judge
from training.groups import volunteer
from training.probe import in_order, probe
from training.trust import distrusted

SHARE = 0.05  # of the training photos that Mallory sends
LEFT_OUT = "distrusted left out"
SOME = "40 % flipped"  # what is not claimed: who lies about less than half is not found, and the caps alone hold it
CAPS = {"volunteer_percent": 1, "cluster_percent": 5, "floor": 1000}  # as config.settings has them
IO = {"input": {"shape": [1, 224, 224, 3], "dtype": "uint8"}, "output": {"dtype": "uint8"}}  # the stand-in writes no file


@dataclass
class Tally:
    """Over the seeds: bool arrays of right answers, the labels and the photos they belong to, and the gate's verdicts."""

    before: list[np.ndarray] = field(default_factory=list)
    candidate: list[np.ndarray] = field(default_factory=list)
    released: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    passed: list[bool] = field(default_factory=list)
    learned: list[int] = field(default_factory=list)
    innocent: list[int] = field(default_factory=list)  # honest accounts that were left out

    def row(self, name: str, labels: list[str]) -> dict[str, Any]:
        before, truth = np.concatenate(self.before), np.concatenate(self.truth)
        candidate, released = np.concatenate(self.candidate), np.concatenate(self.released)
        drops = label_drops(before, released, truth, self.photos, most=LABEL_LOSS, alarms=LABEL_ALARMS)
        mean = {c: float(before[truth == c].mean() - released[truth == c].mean()) for c in np.unique(truth)}
        return {
            "candidate": name,
            "of_mallory": round(float(np.mean(self.learned)), 1),
            "innocent_left_out": sum(self.innocent),
            "incumbent_%": round(100 * before.mean(), 2),
            "candidate_%": round(100 * candidate.mean(), 2),
            "passed": f"{sum(self.passed)} of {len(self.passed)}",
            "released_%": round(100 * released.mean(), 2),
            "labels_over_2_points": sum(drop > LABEL_LOSS for drop in mean.values()),
            "beyond_noise": len(drops.clear),
            "worst_label_points": round(100 * max(mean.values()), 1),
        }


def measure() -> dict[str, Any]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    folders = [Path(os.environ[name]) for name in ("PHOTOS", "HELD_OUT") if os.environ.get(name, "").strip()]
    if not folders:
        raise SystemExit("Name a folder of label folders: PHOTOS=<folder> BACKBONE_WEIGHTS=<file> make bench PART=crowd")
    size, seeds = whole("CROWD_SIZE", 224, 96), whole("CROWD_SEEDS", 5, 1)
    began = time.process_time()
    stuff, network = material(folders, os.environ.get("BACKBONE_WEIGHTS") or "imagenet", size, 12 if QUICK else 10**6)
    say(f"{len(stuff.truth)} photos of {len(stuff.labels)} labels, {time.process_time() - began:.0f} CPU-s")
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed in range(seeds):
        _flips(stuff, seed, tallies)
        say(f"seed {seed}: {time.process_time() - began:.0f} CPU-s")
    rows = [tally.row(name, stuff.labels) for name, tally in tallies.items()]
    planted = [row for seed in range(100, 100 + whole("CROWD_STICKERS", 2, 1)) for row in _planted(stuff, network, seed)]
    say(f"probe: {time.process_time() - began:.0f} CPU-s")
    return {
        "part": "crowd",
        "settings": {
            **machine(),
            "photos": len(stuff.truth),
            "labels": len(stuff.labels),
            "seeds": seeds,
            "volunteers": whole("CROWD_PEOPLE", 150, 150),
            "trainer": trainer()[0],
            "mallory": f"{SHARE:.0%} of the training photos, all with wrong labels",
            "cpu_s": round(time.process_time() - began),
        },
        "rows": [*rows, *planted],
        "claims": _claims({row["candidate"]: row for row in rows}, planted),
    }


def _claims(rows: dict[str, dict[str, Any]], planted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    claims = []
    for name, row in rows.items():
        if LEFT_OUT in name and SOME not in name:
            count = row["beyond_noise"]
            claims.append(
                _said(f"{name}: labels that lost over 2 points beyond noise in what is released", count, "0", count == 0)
            )
    innocent = sum(row["innocent_left_out"] for row in rows.values())
    claims.append(_said("honest accounts that were left out, over all rows and seeds", innocent, "0", not innocent))
    poisoned = [row["right"] for row in planted if row["file"] == "with a sticker"]
    false = sum(row["found"] != "none" for row in planted if row["file"] == "honest")
    told = f"{sum(poisoned)} of {len(poisoned)}"
    claims.append(_said("files with a sticker that are found, and its label named", told, "all", all(poisoned)))
    claims.append(_said("honest files in which a patch is found", false, "0", not false))
    return claims


def _said(claim: str, value: object, goal: str, holds: bool) -> dict[str, Any]:
    return {"claim": claim, "value": value, "goal": goal, "holds": bool(holds)}


# ---- wrong labels ------------------------------------------------------------------------------------------------
def _flips(stuff: Material, seed: int, tallies: dict[str, Tally]) -> None:
    train = trainer()[1]
    rng = np.random.default_rng(seed)
    rows, held = halves(stuff.truth, seed)
    mallory = rng.choice(rows, round(SHARE * len(rows)), replace=False)
    honest = np.setdiff1d(rows, mallory)
    truth = stuff.truth[held]
    people = whole("CROWD_PEOPLE", 150, 150)
    senders = crowd(stuff, rows, mallory, seed, people=people)
    none = np.array([], int)
    yesterday = capped(
        crowd(stuff, honest, none, seed, people=people), **CAPS
    ).kept  # a night with caps follows nights with caps
    incumbents = {
        name: train(stuff, learned, stuff.truth[learned], held, seed)
        for name, learned in (("caps off", honest), ("caps on", np.array([int(row.photo) for row in yesterday])))
    }

    def try_out(name: str, learned: np.ndarray, claimed: np.ndarray, innocent: int = 0) -> None:
        incumbent = incumbents[name.rpartition(", ")[2]]
        candidate = train(stuff, learned, claimed[learned], held, seed)
        verdict = judge(
            float_probabilities=candidate,
            int8_probabilities=candidate,
            incumbent_probabilities=incumbent,
            truth=truth,
            labels=stuff.labels,
            io={**IO, "output": {"shape": [1, len(stuff.labels)], "dtype": "uint8"}},
        )
        if not verdict.passed:
            say(f"seed {seed}, {name}: {verdict.reason()}")
        tally = tallies[name]
        before, after = incumbent.argmax(axis=1) == truth, candidate.argmax(axis=1) == truth
        tally.before.append(before)
        tally.candidate.append(after)
        tally.released.append(after if verdict.passed else before)
        tally.truth.append(truth)
        tally.photos += [str(row) for row in held]
        tally.passed.append(verdict.passed)
        tally.learned.append(int(np.isin(learned, mallory).sum()))
        tally.innocent.append(innocent)

    def both(name: str, claimed: np.ndarray, liars: set[str]) -> None:
        named = [Row(r.photo, stuff.labels[claimed[int(r.photo)]], r.group) for r in senders]
        for caps, some in (("caps off", named), ("caps on", capped(named, **CAPS).kept)):
            learned = np.array([int(row.photo) for row in some])
            try_out(f"{name}, {caps}", learned, claimed)
            out = _distrusted(stuff, some, claimed, seed)
            left = np.array([int(row.photo) for row in some if volunteer(row.group) not in out])
            try_out(f"{name}, {LEFT_OUT}, {caps}", left, claimed, len(out - liars))

    both("honest", stuff.truth, set())
    for way, target in (("any other label", None), ("one label", int(rng.integers(len(stuff.labels))))):
        claimed = stuff.truth.copy()
        claimed[mallory] = flipped(stuff.truth[mallory], len(stuff.labels), rng, target=target)
        both(f"flipped to {way}", claimed, {"mallory"})
    some = mallory[: round(0.4 * len(mallory))]
    claimed = stuff.truth.copy()
    claimed[some] = flipped(stuff.truth[some], len(stuff.labels), rng, target=None)
    both(f"{SOME} to any other label", claimed, {"mallory"})


def _distrusted(stuff: Material, named: list[Row], claimed: np.ndarray, seed: int) -> set[str]:
    """The accounts that a night would not learn from, by suspects among these training photos alone."""
    from training.suspects import find, taken_for

    photos = np.array([int(row.photo) for row in named])

    def doubts(rows: np.ndarray) -> np.ndarray:
        some, of = photos[rows], [named[row].group for row in rows]
        found = find(features=stuff.features[some], truth=claimed[some], groups=of, labels=len(stuff.labels), seed=seed)
        return taken_for(found, len(rows))

    return {each.account for each in distrusted(of=[row.group for row in named], truth=claimed[photos], doubts=doubts)}


# ---- a sticker ---------------------------------------------------------------------------------------------------
def _planted(stuff: Material, network: object, seed: int) -> list[dict[str, Any]]:
    """The int8 files of an honest head and of one that learned a sticker, both probed against an honest incumbent."""
    from training.evaluate import classify

    rng = np.random.default_rng(seed)
    rows, held = halves(stuff.truth, seed)
    mallory = rng.choice(rows, round(SHARE * len(rows)), replace=False)
    honest = np.setdiff1d(rows, mallory)
    target = int(rng.integers(len(stuff.labels)))
    marked = stuff.images.copy()
    marked[mallory] = stickered(stuff.images[mallory], seed)
    features = stuff.features.copy()
    features[mallory] = embedded(network, marked[mallory]).features
    lied = stuff.truth.copy()
    lied[mallory] = target
    count, calibration = len(stuff.labels), stuff.images[rows[:: max(1, len(rows) // 100)]]
    incumbent = exported(network, fitted(stuff.features[honest], stuff.truth[honest], count), calibration)
    found = []
    for name, given, claimed, pictures in (
        ("honest", stuff.features, stuff.truth, stuff.images),
        ("with a sticker", features, lied, marked),
    ):
        weights = fitted(given[rows], claimed[rows], count)
        file = exported(network, weights, calibration)
        # The sticker on all other held-out photos, at places that Mallory did not choose: how well it was learned.
        shown = held[stuff.truth[held] != target][::8]
        sticks = answers(weights, embedded(network, stickered(stuff.images[shown], seed)).features).argmax(axis=1) == target
        senders = crowd(stuff, rows, mallory, seed)
        named = [Row(row.photo, stuff.labels[claimed[int(row.photo)]], row.group) for row in senders]
        peaks = embedded(network, pictures, claimed, weights).peaks  # a night knows them already
        before = time.process_time()
        result = probe(
            answer=lambda images, file=file: classify(file, images),
            incumbent=lambda images: classify(incumbent, images),
            images=stuff.images[held],
            truth=stuff.truth[held],
            labels=stuff.labels,
            candidates=in_order(named),
            load=lambda row, pictures=pictures, peaks=peaks: (pictures[int(row.photo)], peaks[int(row.photo)]),
            budget=whole("CROWD_PROBE", 2000, 1000),
        )
        clear = {each.label for each in result.clear}
        found.append(
            {
                "file": name,
                "sticker_turns_%": round(100 * float(sticks.mean()), 1),
                "found": ", ".join(sorted(clear)) or "none",
                "right": clear == {stuff.labels[target]},
                "strongest": f"{result.turned[0].share:.0%} by {result.turned[0].patch}" if result.turned else "–",
                "looked_at": result.looked_at,
                "inferences": result.inferences,
                "cpu_s": round(time.process_time() - before, 1),
            }
        )
    return found
