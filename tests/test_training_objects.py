"""The sweeper and what nights keep: what a killed process left goes, what a row names stays, released files stay for ever."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from collector import sweeping
from collector.erasure import owe
from collector.models import Recognizer, SweptFolder, Volunteer
from collector.storage import put_blob, store
from collector.sweeping import sweep_all, sweep_folder
from tests.nights import accepted, claimed
from training import checkpoints, weights
from training.models import CachedView, Checkpoint, Run, RunFile, Trunk

pytestmark = pytest.mark.django_db
KINDS = ("activations", "checkpoints", "runs", "trunks", "weights")
FOR_EVER = ("blobs", "snapshots")


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Any) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def run(recognizer: Recognizer) -> Run:
    return claimed(recognizer)


def test_what_no_row_names_goes_after_the_grace_and_released_files_and_snapshots_stay(settings: Any) -> None:
    left = [f"{kind}/{put_blob(kind, b'left')}" for kind in (*KINDS, *FOR_EVER)]
    assert sweep_all(grace_s=settings.ORPHAN_GRACE_S).removed == []
    assert sorted(sweep_all(grace_s=-60).removed) == sorted(left[: len(KINDS)])
    assert [store().size(key) for key in left[len(KINDS) :]] == [4, 4]


def test_what_a_row_names_stays(run: Run, recognizer: Recognizer, volunteer: Volunteer) -> None:
    def put(kind: str, name: str) -> str:
        keys.append(f"{kind}/{put_blob(kind, name.encode())}")
        return keys[-1].partition("/")[2]

    keys: list[str] = []
    photo = accepted(recognizer, volunteer, "gold")
    CachedView.objects.create(photo=photo, cut="cut", sha256=put("activations", "views"), bytes=5)
    Trunk.objects.create(recognizer=recognizer, cut="cut", front=put("trunks", "a"), embedder=put("trunks", "b"), spec={})
    Checkpoint.objects.create(run=run, stage="exporting", input_digest="", sha256=put("checkpoints", "files"))
    Run.objects.filter(pk=run.pk).update(weights_sha256=put("weights", "trained"))
    RunFile.objects.create(run=run, name="card", content_type="text/plain", sha256=put("runs", "card"), bytes=4)
    orphan = f"weights/{put_blob('weights', b'nobody')}"
    assert sweep_all(grace_s=-60).removed == [orphan]
    assert all(store().size(key) for key in keys) and len(keys) == 6


@pytest.mark.parametrize("first", ["00", "7f", "ff"])
def test_a_kind_of_few_objects_is_one_part_whatever_its_digests(run: Run, first: str) -> None:
    assert [prefix for kind, prefix in sweeping.parts() if kind == "weights"] == [""]
    needed, nobodys = (f"{first}{tail * 62}" for tail in "1e")
    Run.objects.filter(pk=run.pk).update(weights_sha256=needed)
    for digest in (needed, nobodys):
        store().put(f"weights/{digest}", b"x")
    SweptFolder.objects.create(kind="weights", prefix="", due_at=timezone.now())
    assert sweep_folder(folder="weights/").removed == []  # they are young
    assert sweeping.sweep(kind="weights", prefix="", grace_s=-60).removed == [f"weights/{nobodys}"]


def test_an_installation_that_swept_photos_only_gets_the_other_parts(settings: Any) -> None:
    for prefix in sweeping.PREFIXES:
        SweptFolder.objects.create(kind="views", prefix=prefix, due_at=timezone.now())
    sweeping.due()
    assert {(row.kind, row.prefix) for row in SweptFolder.objects.all()} == set(sweeping.parts())


def test_weights_and_checkpoints_that_two_runs_share_stay_as_long_as_one_needs_them(
    recognizer: Recognizer, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    old, new = (Run.objects.create(recognizer=recognizer, slot=slot) for slot in "12")
    digest = put_blob("weights", b"the same weights")
    kept = put_blob("checkpoints", b"the same files")
    for run in (old, new):
        Run.objects.filter(pk=run.pk).update(weights_sha256=digest)
        Checkpoint.objects.create(run=run, stage="exporting", input_digest="", sha256=kept)
    Run.objects.filter(pk=old.pk).update(state=Run.State.FAILED)
    with django_capture_on_commit_callbacks(execute=True):
        weights.forget_old(recognizer=recognizer)
        checkpoints.clear(old)
    assert store().size(f"weights/{digest}") and store().size(f"checkpoints/{kept}")
    Run.objects.filter(pk=new.pk).update(weights_sha256="")
    with django_capture_on_commit_callbacks(execute=True):
        checkpoints.clear(new)
        owe([f"weights/{digest}"])
    assert store().size(f"weights/{digest}") is None and store().size(f"checkpoints/{kept}") is None


def test_weights_that_come_while_the_sweeper_looks_keep_their_bytes(run: Run, monkeypatch: Any) -> None:
    data = b"trained"
    digest = hashlib.sha256(data).hexdigest()
    store().put(f"weights/{digest}", data)
    really = store().delete

    def rival_commits(key: str) -> None:
        Run.objects.filter(pk=run.pk).update(weights_sha256=digest)
        really(key)

    monkeypatch.setattr(store(), "delete", rival_commits)
    assert sweep_all(grace_s=-60).removed == []
    assert store().get(f"weights/{digest}") == data
