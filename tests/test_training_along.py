"""A whole night on two machines: real processes that share database and store, with a real, small network."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.models import Recognizer, Volunteer
from tests import ports
from tests.nights import claimed, collected
from training import process, release, runs
from training.models import Run

pytestmark = [pytest.mark.training, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 240
PREPARED = """
import sys, dataclasses, django
django.setup()
from django.core.management import call_command
from training import nightly, plan, process, recipe
small = dataclasses.replace(
    recipe.from_scratch(), image_size=32, view_size=32, source_size=32, top_epochs=int(sys.argv[1]), refit=True
)
plan.ways = lambda backbone, *, long, again: [small]
"""
CHIEF = (
    PREPARED
    + """
work = lambda run: nightly.night(run, progress=process.write_progress)
sys.exit(process.execute(int(sys.argv[2]), int(sys.argv[3]), work))
"""
)
ALONG = (
    PREPARED
    + """
call_command("train_along", "--once")
"""
)
OF_ANOTHER_MIND = (
    PREPARED
    + """
plan.ALL_WAYS = ()
call_command("train_along", "--once")
"""
)
Machine = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def machine(recognizer: Recognizer, volunteer: Volunteer) -> Iterator[Machine]:
    """`machine(0, CHIEF, epochs, run, fence)` starts the process of the first of two machines; they share a night's photos."""
    collected(recognizer, volunteer, train=16, held=12)
    started: list[subprocess.Popen[str]] = []
    with ports.reserved(2) as numbers:

        def start(index: int, code: str, *arguments: int) -> "subprocess.Popen[str]":
            task = ports.tf_config(ports.local(numbers), index)
            child = subprocess.Popen(
                [sys.executable, "-c", code, *map(str, arguments)],
                cwd=ROOT,
                env=os.environ | {"TF_CONFIG": task, "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(child)
            return child

        yield start
        for child in started:
            child.kill()
            child.wait()


def ended(child: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = child.communicate(timeout=LIMIT_S)
    return child.returncode, output


def test_a_night_is_trained_by_two_machines_and_carried_out_by_the_first(machine: Machine, recognizer: Recognizer):
    run = claimed(recognizer)
    along = machine(1, ALONG, 30)
    code, output = ended(machine(0, CHIEF, 30, run.pk, run.fence))
    run.refresh_from_db()
    assert code == process.DONE, output[-4000:]
    assert run.metrics["machines"] == 2
    assert run.state == Run.State.RELEASED, run.message
    assert release.pointer(recognizer).release.run == run
    code, output = ended(along)
    assert (code, output.splitlines()[-1]) == (0, "Trained along 2 times."), output[-4000:]  # and once more as the refit


def test_when_a_machine_dies_the_night_goes_on_without_it(machine: Machine, recognizer: Recognizer):
    run = claimed(recognizer)
    along = machine(1, ALONG, 200)
    chief = machine(0, CHIEF, 200, run.pk, run.fence)
    assert along.stdout is not None
    assert any("training every layer" in line for line in along.stdout)
    along.send_signal(signal.SIGKILL)
    code, output = ended(chief)
    run.refresh_from_db()
    assert (code, run.state) == (process.LOST, Run.State.QUEUED), output[-4000:]
    assert "Another machine fell silent" in output

    fence = runs.claim(run.pk)
    assert fence == 2
    code, output = ended(machine(0, CHIEF, 3, run.pk, fence))
    run.refresh_from_db()
    assert (code, run.metrics["machines"]) == (process.DONE, 1), output[-4000:]
    assert run.state in (Run.State.RELEASED, Run.State.KEPT), run.message


def test_a_machine_that_would_train_something_else_is_refused_and_the_next_attempt_does_without(
    machine: Machine, recognizer: Recognizer
):
    run = claimed(recognizer)
    along = machine(1, OF_ANOTHER_MIND, 3)
    code, output = ended(machine(0, CHIEF, 3, run.pk, run.fence))
    run.refresh_from_db()
    assert (code, run.state) == (process.LOST, Run.State.QUEUED), output[-4000:]
    assert "Machine 0 and 1 differ in tonight's plan" in output
    code, output = ended(along)
    assert code != 0
    assert "Machine 1 and 0 differ in tonight's plan" in output
    assert Run.objects.get().metrics == {}  # the plan is all that was done
