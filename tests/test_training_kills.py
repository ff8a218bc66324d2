"""Crash-safe: nights that are killed at every stage, run out of disk, time or luck, and what the next attempt makes of them."""

import datetime as dt
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from collector.erasure import withdraw
from collector.models import Recognizer, Volunteer
from collector.storage import store
from config.duties import work_once
from tests.killed import MOMENTS, STAGES
from tests.nights import accepted, collected
from training import process, release, runs, snapshot, tasks
from training.models import Checkpoint, Release, Run

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parent.parent
NEVER = ("-", "never")


class Nights:
    """Attempts in processes of their own, one after the other (tests.killed)."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.calls = folder / "calls"
        command = [sys.executable, "-m", "tests.killed", str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, env=environment)

    def attempt(self, run: Run, stage: str = "-", moment: str = "never") -> int:
        """Claim the run and have a process come to this moment, where it is killed. Returns its exit code, -9 if it was."""
        Run.objects.filter(pk=run.pk, state=Run.State.RUNNING).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
        fence = runs.claim(run.pk)
        assert fence is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{run.pk} {fence} {stage} {moment}\n")
        self.process.stdin.flush()
        child = int(self._line("pid"))
        said = self._line("")
        if said == "there":
            os.kill(child, signal.SIGKILL)
            said = self._line("")
        run.refresh_from_db()
        return int(said.removeprefix("ended "))

    def kill(self, run: Run, stage: str, moment: str) -> None:
        assert self.attempt(run, stage, moment) == -signal.SIGKILL, (stage, moment, run.message)

    def begun(self) -> Counter[str]:
        return Counter(self.calls.read_text().splitlines())

    def _line(self, word: str) -> str:
        """The next line that is ours: logs come between."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word or ("there", "ended ")):
                return line.removeprefix(word).strip()
        pytest.fail(f"tests.killed has ended: {self.process.wait()}")


@pytest.fixture
def nights(tmp_path: Path, settings: Any, recognizer: Recognizer, volunteer: Volunteer) -> Iterator[Nights]:
    """Coins with a release v1, and a photo that came since."""
    settings.RUN_ATTEMPTS = 99
    settings.STORE_DIR = tmp_path / "store"
    settings.VAR_DIR = tmp_path
    made = Nights(tmp_path, os.environ | {"VAR_DIR": str(tmp_path), "DATABASE_URL": _database()})
    collected(recognizer, volunteer, train=5, held=12)
    first, _ = runs.open_slot(recognizer=recognizer, slot="1")
    made.attempt(first)
    assert first.state == Run.State.RELEASED, first.message
    made.calls.unlink()
    accepted(recognizer, volunteer, "gold")
    yield made
    assert made.process.stdin is not None
    made.process.stdin.close()
    assert made.process.wait(60) == 0


def _database() -> str:
    """The address of this very database, which a process with another VAR_DIR would not find."""
    facts = connection.settings_dict
    return os.environ.get("DATABASE_URL") or f"sqlite:///{facts['NAME']}"


@pytest.fixture
def tonight(nights: Nights, recognizer: Recognizer) -> Run:
    return runs.open_slot(recognizer=recognizer, slot="2")[0]


def assert_all_is_well(recognizer: Recognizer, *, version: int) -> None:
    """One run a slot; phones are offered this version, whole and gated, the newest that there is; no object is torn."""
    assert Counter(Run.objects.values_list("slot", flat=True)).most_common(1)[0][1] == 1
    row = release.pointer(recognizer)
    assert row is not None and row.release.version == version == Release.objects.count()
    assert row.release.run.state == Run.State.RELEASED and row.release.run.verdict["passed"]
    artifacts = list(row.release.artifacts.all())
    assert {each.format for each in artifacts} == {"float32", "float16", "int8", "canaries"}
    assert all(hashlib.sha256(store().get(f"blobs/{each.sha256}")).hexdigest() == each.sha256 for each in artifacts)
    for kind in ("blobs", "checkpoints", "runs", "snapshots", "weights"):
        for item in store().list(kind, ""):
            name = item.key.partition("/")[2]
            assert name.endswith(".part") or hashlib.sha256(store().get(item.key)).hexdigest() == name, item.key


def test_a_night_that_is_killed_three_times_at_every_stage_ends_with_a_release_and_does_nothing_kept_again(
    nights: Nights, tonight: Run, recognizer: Recognizer, volunteer: Volunteer
) -> None:
    for stage in STAGES:
        for moment in MOMENTS:
            nights.kill(tonight, stage, moment)
            committed = (stage, moment) == ("publishing", "after")
            assert_all_is_well(recognizer, version=2 if committed else 1)
            assert tonight.state == (Run.State.RELEASED if committed else Run.State.RUNNING)
    assert tonight.fence == len(STAGES) * len(MOMENTS)
    begun = nights.begun()
    assert [line for line, times in begun.items() if line.startswith("kept") and times > 1] == []
    assert {name for name in begun if name.startswith("kept")} == {
        "kept training one", "kept training two", "kept refit two", "kept exporting", "kept evaluating",
    }  # fmt: skip
    # Killed in the middle it is begun once more, killed before or behind it is not.
    assert begun["training one with 16"] == 1
    assert begun["training two with 16"] == begun["refit two with 52"] == 2
    assert begun["exporting"] == 4  # twice two files each time: of the refit, and of the chosen way
    assert runs.claim(tonight.pk) is None

    assert Checkpoint.objects.filter(run=tonight).exists()  # its process did not come to remove them
    while work_once():
        pass
    assert not Checkpoint.objects.exists() and list(store().list("checkpoints", "")) == []
    accepted(recognizer, volunteer, "silver")
    third, _ = runs.open_slot(recognizer=recognizer, slot="3")
    assert nights.attempt(third) == process.DONE
    assert_all_is_well(recognizer, version=3)


def test_a_photo_that_is_withdrawn_between_two_attempts_is_in_nothing_that_the_second_makes(
    nights: Nights, tonight: Run, recognizer: Recognizer, volunteer: Volunteer
) -> None:
    nights.kill(tonight, "files", "in")
    before = set(tonight.checkpoints.values_list("sha256", flat=True))
    assert tonight.verdict == {} or tonight.verdict["passed"]
    gone = recognizer.photos.filter(split="train", label__slug="gold").first()
    assert gone is not None
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    nights.kill(tonight, "suspects", "before")
    assert (tonight.metrics, tonight.verdict) == ({}, {})  # what was found is of the photos before
    assert nights.attempt(tonight) == process.DONE
    assert tonight.state == Run.State.RELEASED, tonight.message
    assert str(gone.pk) not in {entry.photo for entry in snapshot.read(tonight.snapshot)}
    begun = nights.begun()
    assert (begun["training one with 16"], begun["training one with 15"], begun["exporting"]) == (1, 1, 4)
    while work_once():
        pass
    assert before and [digest for digest in before if store().size(f"checkpoints/{digest}") is not None] == []
    assert_all_is_well(recognizer, version=2)


def test_a_candidate_is_judged_anew_when_the_incumbent_changed_between_two_attempts(
    nights: Nights, tonight: Run, recognizer: Recognizer, volunteer: Volunteer
) -> None:
    nights.attempt(tonight)
    accepted(recognizer, volunteer, "silver")
    third, _ = runs.open_slot(recognizer=recognizer, slot="3")
    nights.kill(third, "evaluating", "after")
    release.rollback(recognizer=recognizer)
    before = nights.begun()["kept evaluating"]
    nights.attempt(third)
    assert nights.begun()["kept evaluating"] == before + 1
    assert_all_is_well(recognizer, version=4)


@pytest.mark.parametrize("stage", ["training", "exporting", "publishing"])
def test_a_full_disk_fails_the_run_with_what_to_do_and_the_next_night_completes(
    nights: Nights, tonight: Run, recognizer: Recognizer, stage: str
) -> None:
    assert nights.attempt(tonight, stage, "full") == process.FAILED
    assert tonight.state == Run.State.FAILED
    assert tonight.message.startswith(f"It failed at “{stage}”: the disk is full. Free some space for ")
    assert "then run `manage.py nightly`. The incumbent stays;" in tonight.message
    assert_all_is_well(recognizer, version=1)
    assert not list(Path(store().root).rglob("*.part"))  # type: ignore[attr-defined]
    again, _ = runs.open_slot(recognizer=recognizer, slot="3")
    assert nights.attempt(again) == process.DONE
    assert_all_is_well(recognizer, version=2)
    while work_once():
        pass
    assert not Checkpoint.objects.exists()


def test_a_process_that_hangs_with_the_interpreters_lock_is_ended_and_the_next_attempt_completes(
    nights: Nights, tonight: Run, recognizer: Recognizer
) -> None:
    assert nights.attempt(tonight, "snapshot", "hang") == 1
    assert tonight.state == Run.State.RUNNING
    assert nights.attempt(tonight) == process.DONE
    assert_all_is_well(recognizer, version=2)


def test_beyond_its_budget_a_night_begins_no_further_way_and_says_so(nights: Nights, tonight: Run, settings: Any) -> None:
    assert nights.attempt(tonight, "way", "slow") == process.DONE
    assert tonight.state == Run.State.RELEASED
    assert tonight.metrics["reasons"][-1] == f"Not begun after {settings.RUN_BUDGET_S / 60:.0f} minutes (RUN_BUDGET_S): two."
    assert not any("two" in line for line in nights.begun())


def test_of_two_beats_and_two_workers_that_come_together_one_process_is_started(
    recognizer: Recognizer, volunteer: Volunteer, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    accepted(recognizer, volunteer, "gold")
    started, together = [], threading.Barrier(4)

    class Process:
        pid = 1

        def __init__(self, command: list[str], **options: Any) -> None:
            started.append(command[-2:])

        def poll(self) -> None:
            """It lives."""

    monkeypatch.setattr(process.subprocess, "Popen", Process)

    def beat_and_worker() -> None:
        try:
            together.wait()
            tasks.open_nights.perform(recognizer.pk)
            for run_id in Run.objects.values_list("pk", flat=True):
                process.start(run_id)
        finally:
            connection.close()

    threads = [threading.Thread(target=beat_and_worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process._children.clear()
    run = Run.objects.get()
    assert started == [[str(run.pk), "1"]]
    assert (run.state, run.fence, run.slot) == (Run.State.RUNNING, 1, runs.slot_for_tonight())
