"""Two machines that train together: two real processes, by TF_CONFIG, against one that trains alone."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import ports, replica
from tests.learning import pictures
from training.recipe import Recipe
from training.weights import Weights, from_bytes

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 240  # seconds after which both processes are killed: they take 50 on two cores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one machine alone has left, and then two that train together (tests.replica), of which one has killed itself."""
    from training.network import restored

    made = tmp_path_factory.mktemp("replicas")
    one = replica.trained(*replica.lively(made))
    (made / "alone-lively.npz").write_bytes(one)
    network, _ = restored(from_bytes(one))
    network.save_weights(made / replica.BACKBONE)
    with ports.reserved(2) as numbers:
        command = [sys.executable, "-m", "tests.replica", str(made)]
        machines = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"TF_CONFIG": ports.tf_config(ports.local(numbers), index)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in (0, 1)
        ]
        try:
            said = [machine.communicate(timeout=LIMIT_S)[1] for machine in machines]
        finally:
            for machine in machines:
                machine.kill()
    assert [machine.returncode for machine in machines] == [0, -signal.SIGKILL], "\n".join(text[-4000:] for text in said)
    return made


def left(folder: Path, who: str, case: str) -> Weights:
    return from_bytes((folder / f"{who}-{case}.npz").read_bytes())


def apart(one: Weights, other: Weights) -> np.ndarray:
    """The difference of every weight."""
    pairs = zip(one.network + one.head, other.network + other.head, strict=True)
    return np.concatenate([(mine - theirs).ravel() for mine, theirs in pairs])


def accuracy(weights: Weights) -> float:
    """On photos that nobody has learned from."""
    from training.network import assemble, restored

    held = pictures(30, 4)
    model, _ = assemble(*restored(weights))
    return float((model.predict_on_batch(held.pixels.astype(np.float32)).argmax(axis=1) == held.truth).mean())


def test_where_nothing_is_random_two_machines_come_to_the_weights_of_one(folder: Path):
    recipe, backbone, train = replica.steady(folder)

    def alone(recipe: Recipe) -> Weights:
        return from_bytes(replica.trained(recipe, backbone, train))

    begun, one, together = alone(replace(recipe, top_epochs=0)), alone(recipe), left(folder, "0", "steady")
    assert np.abs(apart(begun, left(folder, "0", "head"))).max() < 1e-5  # of 0.03
    # Half a batch is not added up in the order of a whole one, in an order that is each processor's own, and AdamW makes whole
    # steps of gradients that are nearly nothing. That came to 0.03 % of the way; half of the photos alone ends 106 % apart.
    assert np.linalg.norm(apart(one, together)) < 0.05 * np.linalg.norm(apart(one, begun))


def test_with_dropout_batch_statistics_and_random_views_two_machines_do_as_well_as_one(folder: Path):
    found = [accuracy(left(folder, who, "lively")) for who in ("alone", "0")]
    assert min(found) > 0.85, found
    assert abs(found[0] - found[1]) < 0.1, found


@pytest.mark.parametrize("case", replica.CASES)
def test_both_machines_hold_the_very_same_weights_in_the_end(folder: Path, case: str):
    assert not apart(left(folder, "0", case), left(folder, "1", case)).any()


def test_what_goes_wrong_among_machines_is_said_on_each_and_ends_the_training(folder: Path):
    first, second = ([json.loads(line) for line in (folder / f"{index}-said").read_text().splitlines()] for index in (0, 1))
    assert [code for code, _ in first] == ["uneven-batch", "replicas-differ", "replica-lost"]
    assert [code for code, _ in second] == ["uneven-batch", "replicas-differ"]  # then it was killed
    assert first[0][1].startswith("13 photos of a batch cannot be shared evenly among 2 machines.")
    assert first[1][1].startswith("Machine 0 and 1 differ in weights, photos or recipe.")
    assert first[2][1].startswith("Another machine fell silent")
