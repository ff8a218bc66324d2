"""TF_CONFIG: which machines train together, and whether they are there."""

import json
import re
import socket
import time
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from tests import ports
from tests.nights import claimed
from training import along, cluster, nightly, process, runs
from training.cluster import Cluster
from training.errors import BadCluster, ReplicaLost
from training.models import Run


def config(**changes: object) -> str:
    return json.dumps({"cluster": {"worker": ["a:2222", "[::1]:2223"]}, "task": {"type": "worker", "index": 1}} | changes)


def test_the_example_names_two_machines_of_which_the_first_is_the_chief():
    found = cluster.parse(cluster.EXAMPLE)
    assert found == Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 0)
    assert (found.is_chief, found.others) == (True, ["10.0.0.2:2222"])
    second = cluster.parse(config())
    assert second is not None
    assert (second.is_chief, second.others) == (False, ["a:2222"])


def test_the_page_on_several_machines_shows_what_each_of_them_reads():
    page = Path(__file__).parent.parent / "docs" / "several-machines.md"
    shown = [cluster.parse(text) for text in re.findall("TF_CONFIG='(.*)'", page.read_text())]
    assert shown == [Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), index) for index in (0, 1)]


@pytest.mark.parametrize("text", ["", config(cluster={"worker": ["a:2222"]}, task={"type": "worker", "index": 0})])
def test_without_other_machines_there_is_no_cluster(text):
    assert cluster.parse(text) is None


BAD = {
    "no JSON": "two machines",
    "no object": "[]",
    "no task": json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
    "no port": config(cluster={"worker": ["a", "b:1"]}),
    "no text": config(cluster={"worker": [1, 2]}),
    "a text": config(cluster="a:1"),
    "a chief of its own": config(cluster={"chief": ["a:1"], "worker": ["b:1", "c:1"]}),
    "another task": config(task={"type": "evaluator", "index": 0}),
    "beyond the last": config(task={"type": "worker", "index": 2}),
    "no number": config(task={"type": "worker", "index": "1"}),
    "one twice": config(cluster={"worker": ["a:1", "a:1"]}),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_malformed_one_is_refused_with_how_to_write_it_and_found_by_the_checks(text, settings):
    with pytest.raises(BadCluster, match="Write it like") as caught:
        cluster.parse(text)
    assert caught.value.detail.startswith("TF_CONFIG")
    settings.TF_CONFIG = text
    assert [found.id for found in run_checks() if "TF_CONFIG" in found.msg] == ["photorally.E153"]


def test_who_is_there_is_known_at_once_and_who_is_not_after_the_time_given():
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # taken, and nobody listens
        here, away = (f"127.0.0.1:{each.getsockname()[1]}" for each in (there, deaf))
        began = time.monotonic()
        assert cluster.absent([here], within_s=60) == []
        assert time.monotonic() - began < 10
        assert cluster.absent([here, away], within_s=0.1) == [away]


@pytest.mark.parametrize("text", ["", cluster.EXAMPLE, "two machines"])
def test_training_along_needs_a_cluster_in_which_this_is_not_the_chief(text, settings):
    settings.TF_CONFIG = text
    with pytest.raises(CommandError, match=r"TF_CONFIG.*Write it like"):
        call_command("train_along", "--once")


# ---- what a night makes of it ------------------------------------------------------------------------------------
def silent_cluster(index: int) -> str:
    """Two machines of which none listens: port 1 is nobody's."""
    return ports.tf_config(["127.0.0.1:1", "127.0.0.2:1"], index)


def test_a_night_goes_on_alone_where_another_machine_is_not_there(recognizer, settings):
    settings.CLUSTER_WAIT_S = 0.1
    settings.TF_CONFIG = silent_cluster(0)
    run = claimed(recognizer)
    nightly._gather(run, nightly.Clock(run))
    assert (run.stage, cluster.team()) == (cluster.GATHERING, None)


@pytest.mark.parametrize(("index", "attempts"), [(1, 1), (0, 2)])
def test_a_machine_that_is_not_the_chief_and_a_second_attempt_wait_for_nobody(index, attempts, recognizer, settings):
    settings.TF_CONFIG = silent_cluster(index)
    run = claimed(recognizer)
    for _ in range(attempts - 1):
        assert runs.give_back(run.pk, run.fence)
        run = runs.held(run.pk, runs.claim(run.pk))
    nightly._gather(run, nightly.Clock(run))
    assert run.stage == "starting"


def test_a_machine_finds_the_run_whose_chief_gathers_and_leaves_when_that_attempt_is_over(recognizer):
    run = claimed(recognizer)
    assert along.waiting() is None
    runs.advance(run, cluster.GATHERING)
    assert along.wait() == run
    watch = along.Watch(run)
    assert watch._goes_on()
    runs.advance(run, "training")
    assert watch._goes_on() and along.waiting() is None
    assert runs.give_back(run.pk, run.fence)
    assert not watch._goes_on()


def test_an_attempt_that_lost_a_machine_gives_the_run_back_instead_of_failing_it(recognizer):
    run = claimed(recognizer)

    def lose(held: Run) -> None:
        raise ReplicaLost("It was switched off.")

    assert process.execute(run.pk, run.fence, lose) == process.LOST
    run.refresh_from_db()
    assert (run.state, run.message) == (Run.State.QUEUED, "")
    assert runs.claim(run.pk) == 2
