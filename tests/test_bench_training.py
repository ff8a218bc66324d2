"""What the night is measured with: every CPU second is counted, photos are divided once, and figures say whose they are."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as command
from bench import training as part
from bench._spent import Spent, spent
from bench.peers.base import environment
from bench.training import Guide, Night, Photos, chosen, claims, guide_rows, halved, laid_out, night_rows, together

ROOT = Path(__file__).resolve().parent.parent
BURN = "import time\nwhile time.process_time() < 0.5: pass"


@pytest.fixture
def folder(tmp_path):
    """train/ with three labels of ten photos, val/ with two of the labels and one that nobody learns."""
    for split, label, count in (
        *(("train", name, 10) for name in ("apple", "beet", "corn")),
        *(("val", name, 3) for name in ("beet", "corn", "dill")),
    ):
        (tmp_path / split / label).mkdir(parents=True)
        for at in range(count):
            (tmp_path / split / label / f"{split}-{at:02}.jpg").write_bytes(b"")
    return tmp_path


@pytest.fixture
def one_guide(folder, tmp_path, monkeypatch):
    """A function that measures Keras' guide where this run keeps it, and what the machine really did for it."""
    runs = []

    def spend(command, _variables):
        runs.append(command)
        told = {"cpu_s": {"head": 3, "all": 7, "validation": 1, "after": 2}, "history": [], "hits": {}}
        Path(command[5]).write_text(json.dumps(told))
        return Spent(9, 10, 300, "")

    monkeypatch.setattr(part, "spent", spend)
    monkeypatch.setattr(part, "CACHE", tmp_path / "kept")
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"weights")

    def measure(place: str, photos: Photos | None = None) -> Guide:
        return part._guide(tmp_path / place, photos or chosen(folder, labels=99, most=99, new=7), str(weights))

    return measure, runs, weights


# ---- what a command costs ----------------------------------------------------------------------------------------
def test_a_process_that_outlives_the_command_is_waited_for_and_counted():
    leaves = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BURN!r}], start_new_session=True)\nprint('bye')"
    cost = spent([sys.executable, "-c", leaves], environment())
    assert cost.output == "bye\n"
    assert 0.5 <= cost.cpu_s < 2
    assert cost.wall_s >= 0.5
    assert 5 < cost.peak_mb < 200


def test_a_command_that_fails_is_no_figure():
    with pytest.raises(RuntimeError, match=r"ended with 3: half done"):
        spent([sys.executable, "-c", "print('half done'); raise SystemExit(3)"], environment())


def test_costs_add_up_but_memory_does_not():
    assert together(Spent(1, 2, 300, "a"), Spent(10, 20, 100, "b")) == Spent(11, 22, 300, "")


# ---- which photos ------------------------------------------------------------------------------------------------
def test_new_photos_are_none_of_the_old_and_the_same_each_time(folder):
    photos = chosen(folder, labels=99, most=99, new=7)
    assert (len(photos.old), len(photos.new)) == (23, 7)
    assert not set(photos.old) & set(photos.new)
    assert photos.labels == ["apple", "beet", "corn"]
    assert [path.parent.name for path in photos.held_out] == ["beet"] * 3 + ["corn"] * 3
    assert chosen(folder, labels=99, most=99, new=7) == photos


def test_few_labels_are_those_that_can_be_judged(folder):
    photos = chosen(folder, labels=2, most=4, new=1)
    assert photos.labels == ["beet", "corn"]
    assert (len(photos.old), len(photos.held_out)) == (7, 6)


def test_half_of_the_photos_is_half_of_each_label(folder):
    photos = chosen(folder, labels=99, most=99, new=0)
    assert [path.parent.name for path in halved(photos.old)] == ["apple"] * 5 + ["beet"] * 5 + ["corn"] * 5
    assert set(halved(photos.old)) < set(photos.old)


def test_a_folder_is_laid_out_with_every_label_and_leads_to_the_same_photos(folder, tmp_path):
    photos = chosen(folder, labels=99, most=99, new=0)
    place = laid_out(tmp_path / "staged", photos.held_out, photos.labels)
    assert sorted(path.name for path in place.iterdir()) == ["apple", "beet", "corn"]
    assert {path.resolve() for path in place.rglob("*.jpg")} == {path.resolve() for path in photos.held_out}


# ---- what is claimed ---------------------------------------------------------------------------------------------
PICTURES = [f"beet/{at}.jpg" for at in range(10)]


def hits(right: int) -> dict[str, bool]:
    return {name: at < right for at, name in reversed(list(enumerate(PICTURES)))}


def guide(*, cpu_s: float = 800, right: int = 8, photos: int = 100) -> Guide:
    told = {
        "cpu_s": {"head": 300, "all": cpu_s, "validation": 20, "after": 5},
        "history": [{"val_accuracy": [0.4, 0.7]}, {"val_accuracy": [right / 10]}],
        "hits": hits(right),
    }
    return Guide(Spent(cpu_s, 400, 3000, ""), photos, told, "2026-11-22 04:00")


def night(*, cpu_s: float, right: int | None, photos: int = 100, by_worker: int = 0, looked_at: int = 0) -> Night:
    phones = {} if right is None else {"float32": hits(right), "int8": hits(right)}
    told = {"state": "kept", "message": "The gate refused it.", "metrics": {"looked_at": looked_at}, "phones": phones}
    return Night(Spent(cpu_s, cpu_s, 900, ""), by_worker, photos, told)


def judged(steady: Night, *, first: Night | None = None, half: Night | None = None, new: int = 10) -> dict[str, dict]:
    first = first or night(cpu_s=200, right=9, photos=90)
    halves = {"steady night": half or steady}
    found = claims(guide(), {"first night": first, "steady night": steady}, halves, new=new)
    return {each["claim"]: each for each in found}


def test_a_good_run_holds_every_claim_and_the_first_night_is_charged_for_its_own_photos():
    found = judged(night(cpu_s=100, right=8, by_worker=9, looked_at=1))
    assert all(each["holds"] for each in found.values())
    assert found["times a steady night's CPU seconds, for the guide"]["value"] == 8
    assert found["times the first night's CPU seconds, for the guide"]["value"] == 3.6  # 800 × 90/100 / 200


@pytest.mark.parametrize(
    ("steady", "fails"),
    [
        (night(cpu_s=101, right=8, looked_at=10), "times a steady night's CPU seconds, for the guide"),
        (night(cpu_s=100, right=7, looked_at=10), "points beyond the guide, steady night's int8"),
        (night(cpu_s=100, right=8, looked_at=11), "photos looked at beside the 10 new ones"),
        (night(cpu_s=100, right=8, looked_at=9), "photos looked at beside the 10 new ones"),
    ],
)
def test_each_shortfall_fails_its_own_claim_and_no_other(steady, fails):
    assert [name for name, each in judged(steady).items() if not each["holds"]] == [fails]


def test_looks_that_grow_with_the_old_photos_fail():
    found = judged(night(cpu_s=100, right=8, looked_at=10), half=night(cpu_s=60, right=8, looked_at=9))
    assert found["photos looked at more with twice the old ones"] == {
        "claim": "photos looked at more with twice the old ones",
        "value": 1,
        "goal": "≤ 0",
        "holds": False,
    }


def test_a_night_that_released_nothing_has_no_accuracy_and_says_why():
    nothing = night(cpu_s=100, right=None, looked_at=10)
    claimed = judged(nothing)["points beyond the guide, steady night's int8"]
    assert claimed["value"] == "not measured: nothing is released: The gate refused it."
    assert not claimed["holds"]
    assert night_rows({"steady night": nothing}, guide())[0]["int8_%"] == "none"


def test_rows_compare_the_same_photos_whatever_their_order():
    row = night_rows({"steady night": night(cpu_s=99.96, right=9, by_worker=10)}, guide(right=8), of="half")[0]
    assert row["night"] == "steady night, half"
    assert row["looked_at"] == "10, 10 by the worker"
    assert (row["cpu_s"], row["int8_%"], row["ended"]) == (100.0, 90.0, "kept")
    gain, _, error = row["beyond_guide"].partition(" ± ")
    assert gain == "+10.0"
    assert float(error) == pytest.approx(100 * np.std([1] + [0] * 9, ddof=1) / np.sqrt(10), abs=0.1)


def test_the_guide_says_how_far_it_was_with_its_head_alone():
    whole, head = guide_rows(guide())
    assert (whole["cpu_s"], whole["recognised_%"], whole["of_it_validation_s"]) == (800, 80.0, 20)
    assert (head["cpu_s"], head["recognised_%"]) == (300, 70.0)


def test_without_photos_or_weights_it_says_what_it_needs(monkeypatch):
    monkeypatch.setenv("PHOTOS", "/nowhere/at/all")
    with pytest.raises(SystemExit, match=r"Set PHOTOS: .*make bench PART=training"):
        part.measure()


def test_every_part_is_on_the_page_and_no_other():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert set(re.findall(r"^make bench PART=([a-z]+)", page, re.MULTILINE)) == set(command.parts())


def test_photos_know_their_labels():
    assert Photos([Path("x/b/1")], [Path("x/a/2")], [Path("x/c/3")]).labels == ["a", "b"]


# ---- the guide is measured once, where that is asked for ---------------------------------------------------------
def test_a_guide_is_measured_in_every_run_unless_the_kept_one_is_asked_for(one_guide, monkeypatch):
    measure, runs, _ = one_guide
    first = measure("a")
    assert (first.cost.cpu_s, first.photos) == (7, 30)
    measure("b")
    assert len(runs) == 2
    monkeypatch.setenv("BENCH_KEPT", "1")
    kept = measure("c")
    assert len(runs) == 2
    assert (kept.cost, kept.told) == (first.cost, first.told)
    assert guide_rows(guide())[0]["began"] == "2026-11-22 04:00"


def test_a_kept_guide_of_other_photos_weights_or_passes_is_none(one_guide, monkeypatch, folder):
    measure, runs, weights = one_guide
    measure("a")
    monkeypatch.setenv("BENCH_KEPT", "1")
    measure("b", chosen(folder, labels=99, most=9, new=7))
    assert len(runs) == 2
    weights.write_bytes(b"others")
    measure("c")
    assert len(runs) == 3
    monkeypatch.setattr(part, "GUIDE_EPOCHS", (1, 1))
    measure("d")
    assert len(runs) == 4
