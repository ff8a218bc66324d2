"""Runs: one a slot, one process at a time, and nothing from a process that was taken for dead."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from tests.nights import accepted, claimed
from training import foreground, process, runs, tasks
from training.errors import AlreadyFinished, FencedOff
from training.models import Run

NIGHT = dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC)


def in_threads(work, count: int) -> list:
    """`work()` in `count` threads that begin together; what each returned."""
    results, barrier = [], threading.Barrier(count)

    def one() -> None:
        try:
            barrier.wait()
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_two_beats_open_one_slot(recognizer):
    opened = in_threads(lambda: runs.open_slot(recognizer=recognizer, slot="2026-11-22"), 4)
    assert {run.pk for run, _ in opened} == {Run.objects.get().pk}
    assert sorted(new for _, new in opened) == [False, False, False, True]


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_one_wins(recognizer):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    assert sorted(in_threads(lambda: runs.claim(run.pk), 4), key=str) == [1, None, None, None]
    run.refresh_from_db()
    assert (run.state, run.fence) == (Run.State.RUNNING, 1)
    assert run.lease_until > timezone.now()


def test_a_claim_that_is_overtaken_between_its_look_and_its_update_gets_nothing(recognizer, monkeypatch):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    look = runs.running

    def overtaken():
        monkeypatch.setattr(runs, "running", look)
        answer = look().exclude(pk=run.pk)
        rival = {"fence": 1, "lease_until": timezone.now() + dt.timedelta(hours=1), "state": Run.State.RUNNING}
        Run.objects.filter(pk=run.pk).update(**rival)
        return answer

    monkeypatch.setattr(runs, "running", overtaken)
    assert runs.claim(run.pk) is None
    assert Run.objects.get().fence == 1


def test_a_silent_run_is_claimed_again_under_a_higher_fence(recognizer, settings):
    with time_machine.travel(NIGHT, tick=False) as clock:
        zombie = claimed(recognizer)
        clock.shift(settings.RUN_LEASE_S - 1)
        assert runs.claim(zombie.pk) is None
        runs.renew(zombie.pk, zombie.fence)
        clock.shift(settings.RUN_LEASE_S + 1)
        assert runs.claim(zombie.pk) == 2
    for write in (
        lambda: runs.advance(zombie, "training"),
        lambda: runs.renew(zombie.pk, zombie.fence),
        lambda: runs.write(zombie, metrics={"int8": 1}),
        lambda: runs.finish(zombie, Run.State.KEPT, "from the grave"),
    ):
        with pytest.raises(FencedOff):
            write()
    fresh = Run.objects.get()
    assert (fresh.state, fresh.fence, fresh.stage, fresh.metrics, fresh.message) == ("running", 2, "starting", {}, "")
    assert zombie.stage == "starting"  # nor does the zombie's own copy pretend


def test_after_its_attempts_a_run_has_failed_and_says_where(recognizer, settings):
    with time_machine.travel(NIGHT, tick=False) as clock:
        run = claimed(recognizer)
        for _ in range(settings.RUN_ATTEMPTS - 1):
            clock.shift(settings.RUN_LEASE_S + 1)
            assert runs.claim(run.pk)
        runs.advance(runs.held(run.pk, settings.RUN_ATTEMPTS), "training")
        clock.shift(settings.RUN_LEASE_S + 1)
        assert runs.claim(run.pk) is None
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert run.message == "Its process died 3 times, last at “training”. The incumbent stays."
    assert runs.due() == []


def test_no_second_run_starts_while_one_is_alive(recognizer):
    with time_machine.travel(NIGHT, tick=False):
        first, _ = runs.open_slot(recognizer=recognizer, slot="1")
        second, _ = runs.open_slot(recognizer=recognizer, slot="2")
        assert runs.due() == [first.pk, second.pk]
        assert runs.claim(first.pk) == 1
        assert runs.due() == []
        assert runs.claim(second.pk) is None
        runs.finish(runs.held(first.pk, 1), Run.State.KEPT, "done")
        assert runs.due() == [second.pk]
        assert runs.claim(second.pk) == 1


def test_a_run_that_is_given_back_can_be_claimed_at_once(recognizer):
    run = claimed(recognizer)
    assert runs.give_back(run.pk, run.fence)
    assert runs.claim(run.pk) == 2
    assert not runs.give_back(run.pk, run.fence)  # the old fence gives nothing back


def test_a_finished_run_has_one_result(recognizer):
    run = claimed(recognizer)
    runs.finish(run, Run.State.KEPT, "x" * 900)
    assert len(run.message) == runs.MESSAGE_LENGTH
    assert runs.claim(run.pk) is None
    with pytest.raises(AlreadyFinished):
        runs.refuse_finished(run)


def test_runs_by_hand_get_the_next_number_of_the_day(recognizer):
    with time_machine.travel(NIGHT, tick=False):
        assert runs.slot_for_now(recognizer) == "2026-11-22"
        runs.finish(claimed(recognizer, "2026-11-22"), Run.State.KEPT, "done")
        assert runs.slot_for_now(recognizer) == "2026-11-22.2"
        unfinished = claimed(recognizer, "2026-11-22.2")
        assert runs.slot_for_now(recognizer) == "2026-11-22.2"
        runs.finish(unfinished, Run.State.FAILED, "broke")
        assert runs.slot_for_now(recognizer) == "2026-11-22.3"


def test_a_night_is_due_once_after_its_hour_where_there_were_photos_before_it(recognizer, volunteer, settings):
    settings.NIGHT_HOUR_UTC = 2
    with time_machine.travel(NIGHT.replace(hour=1, minute=0), tick=False) as clock:
        assert runs.nights_due() == []
        accepted(recognizer, volunteer, "gold")
        assert runs.nights_due() == []  # its hour has not come
        clock.move_to(NIGHT)
        assert runs.nights_due() == [recognizer.pk]
        tasks.open_nights.perform(recognizer.pk)
        tasks.open_nights.perform(recognizer.pk)
        assert Run.objects.get().slot == "2026-11-22"
        assert runs.nights_due() == []
        recognizer.active = False
        recognizer.save()
        clock.move_to(NIGHT + dt.timedelta(days=1))
        assert runs.nights_due() == []


def test_the_first_photo_at_noon_starts_no_night_of_its_own(recognizer, volunteer):
    with time_machine.travel(NIGHT.replace(hour=12), tick=False) as clock:
        accepted(recognizer, volunteer, "gold")
        assert runs.nights_due() == []
        clock.move_to(NIGHT + dt.timedelta(days=1))
        assert runs.nights_due() == [recognizer.pk]


def test_a_failure_ends_in_one_sentence_and_keeps_its_traceback_in_the_log(recognizer):
    run = claimed(recognizer)

    def breaks(held: Run) -> None:
        runs.advance(held, "training")
        raise ValueError("the disk is full\n\n  in some file, line 9")

    assert process.execute(run.pk, run.fence, breaks) == process.FAILED
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert run.message == (
        "It failed at “training”: ValueError: the disk is full. The incumbent stays; "
        "the traceback is in coins-2026-11-22-1.log."
    )
    assert "Traceback" not in run.message


def test_a_process_that_lost_its_run_does_nothing(recognizer):
    run = claimed(recognizer)
    assert process.execute(run.pk, run.fence + 1, lambda held: pytest.fail("it worked")) == process.LOST


# ---- real processes ----------------------------------------------------------------------------------------------
@pytest.fixture
def quick_lease(settings, monkeypatch):
    """Here and in the processes that are started."""
    settings.RUN_LEASE_S = 5
    monkeypatch.setenv("RUN_LEASE_S", "5")


def ended(run: Run, seconds: float = 60) -> Run:
    """The run once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run.refresh_from_db()
        if run.state in Run.FINISHED:
            return run
        time.sleep(0.1)
    pytest.fail(f"{run} is still at “{run.stage}”: {process.log_path(run, run.fence).read_text()[-2000:]}")


@pytest.mark.django_db(transaction=True)
def test_a_worker_starts_a_night_in_a_process_of_its_own(recognizer):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    tasks.run.perform(run.pk)
    run = ended(run)
    assert (run.state, run.fence) == (Run.State.KEPT, 1)
    assert run.message == "Coins has no accepted photo. Accept some in the review queue. The incumbent stays."
    assert process.start(run.pk) is None


@pytest.mark.django_db(transaction=True)
def test_a_killed_process_is_followed_by_one_with_a_higher_fence(recognizer, quick_lease):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    started = process.start(run.pk)
    os.kill(started.process.pid, signal.SIGKILL)
    assert started.process.wait() == -signal.SIGKILL
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING  # nobody knows yet
    assert process.start(run.pk) is None
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))  # its lease has passed
    assert process.start(run.pk).fence == 2
    assert (ended(run).state, run.fence) == (Run.State.KEPT, 2)


WORKING = """
import sys, time, django
django.setup()
from training import process, runs
def work(run):
    print("working", flush=True)
    {work}
sys.exit(process.execute(int(sys.argv[1]), int(sys.argv[2]), work))
"""


def working(run: Run, work: str, before: str = "") -> "subprocess.Popen[bytes]":
    """A process that holds the run and is in the middle of this work."""
    command = [sys.executable, "-c", before + WORKING.replace("{work}", work), str(run.pk), str(run.fence)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"working\n"
    return child


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_fenced_off_ends_itself_in_the_middle_of_its_work(recognizer, quick_lease):
    run = claimed(recognizer)
    with working(run, "time.sleep(60)") as child:
        Run.objects.filter(pk=run.pk).update(fence=2)
        assert child.wait(timeout=20) == process.LOST


@pytest.mark.django_db(transaction=True)
def test_a_process_whose_run_has_ended_may_finish_what_comes_after(recognizer, quick_lease):
    run = claimed(recognizer)
    with working(run, "runs.finish(run, run.State.KEPT, 'done'); time.sleep(3)") as child:
        assert child.wait(timeout=20) == process.DONE


@pytest.mark.django_db(transaction=True)
def test_a_process_at_work_renews_its_lease(recognizer, quick_lease):
    run = claimed(recognizer)
    with working(run, "time.sleep(3)") as child:
        assert child.wait(timeout=20) == process.DONE
    assert Run.objects.get().lease_until > run.lease_until


@pytest.mark.django_db(transaction=True)
def test_a_process_that_hangs_beyond_the_limit_ends_itself_and_the_run(recognizer, quick_lease):
    run = claimed(recognizer)
    with working(run, "time.sleep(60)", before=LIMIT) as child:
        assert child.wait(timeout=20) == process.TOO_LONG
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert run.message == "It was still at “starting” after 0 minutes and was ended. The incumbent stays."


LIMIT = "from django.conf import settings; settings.RUN_LIMIT_S = 2\n"  # the environment allows no less than 30 s


@pytest.mark.django_db(transaction=True)
def test_a_night_by_hand_follows_its_process_to_the_end(recognizer, capsys):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    with foreground.Screen() as screen:
        run = foreground.run_now(run=run, screen=screen)
    assert run.state == Run.State.KEPT
    with pytest.raises(AlreadyFinished):
        foreground.run_now(run=run, screen=foreground.Screen())


@pytest.mark.django_db(transaction=True)
def test_stopping_a_night_by_hand_ends_its_process_and_leaves_the_run_claimable(recognizer):
    run, _ = runs.open_slot(recognizer=recognizer, slot="2026-11-22")
    children = []

    class Impatient(foreground.Screen):
        def show(self, row: Run) -> None:
            children.append(process._children[-1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        foreground.run_now(run=run, screen=Impatient())
    assert children[0].poll() is not None
    run.refresh_from_db()
    assert (run.state, run.lease_until) == (Run.State.QUEUED, None)
    assert runs.claim(run.pk) == 2


def test_the_screen_shows_the_progress_that_a_process_wrote(recognizer, capsys):
    run = claimed(recognizer)
    path = process.log_path(run, run.fence)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("@ 1/4 epochs of the head\n{'level': 'info'}\n@ 4/4 epochs of the head\n@ 2/")
    with foreground.Screen() as screen:
        screen.show(run)
        path.write_text(path.read_text() + "9 photos\n")
        screen.show(run)
    shown = capsys.readouterr().err
    assert shown.splitlines() == [
        "2026-11-22: starting",
        "  epochs of the head: 1/4",
        "  epochs of the head: 4/4",
        "  photos: 2/9",
    ]


def test_progress_lines_are_thinned_but_the_last_one_is_written(capsys):
    for done in range(1, 101):
        process.write_progress("photos", done, 100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "@ 100/100 photos"
    assert len(lines) <= 3
