"""The sweeper: what killed processes left is gone within the hour, and what anybody needs stays."""

import hashlib
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import time_machine
from django.conf import settings as installed
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from collector import sweeping
from collector.models import Photo, SweptFolder
from collector.storage import LocalStore, S3Store, put_blob, store
from collector.sweeping import sweep, sweep_all, sweep_folder
from config.duties import work_once

pytestmark = pytest.mark.django_db
KINDS = ("originals", "views", "thumbnails")


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


def orphan(kind: str, data: bytes = b"nobody's") -> str:
    return f"{kind}/{put_blob(kind, data)}"


def aged(key: str, seconds: float) -> None:
    objects = store()
    assert isinstance(objects, LocalStore)
    then = time.time() - seconds
    os.utime(objects.path(key), (then, then))


def needed(photo: Photo) -> list[str]:
    return [f"originals/{photo.sha256}", f"views/{photo.view_sha256}", f"thumbnails/{photo.thumbnail_sha256}"]


def test_orphans_go_after_the_grace_and_living_photos_keep_theirs(live_photo: Any, settings: Any) -> None:
    photos = [live_photo(), live_photo(state="received"), live_photo(state="rejected")]
    orphans = [orphan(kind) for kind in KINDS]
    for key in [*orphans, *needed(photos[0]), *needed(photos[2]), f"originals/{photos[1].sha256}"]:
        aged(key, settings.ORPHAN_GRACE_S + 60)
    young = orphan("originals", b"its row is on the way")
    swept = sweep_all(grace_s=settings.ORPHAN_GRACE_S)
    assert sorted(swept.removed) == sorted(orphans)
    assert swept.seen == 3 + 7 + 1
    assert all(store().size(key) for key in (*needed(photos[0]), *needed(photos[2]), young))


def test_unfinished_files_of_killed_writers_go_and_foreign_files_stay(settings: Any) -> None:
    key = orphan("originals")
    folder = store().path(key).parent  # type: ignore[attr-defined]
    part, foreign = folder / f"{folder.name * 32}.0123.part", folder / "README"
    for path in (part, foreign):
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    sweep(kind="originals", prefix=folder.name, grace_s=settings.ORPHAN_GRACE_S)
    assert not part.exists() and store().size(key)
    fresh = folder / f"{folder.name * 32}.4567.part"
    fresh.write_bytes(b"being written")
    sweep(kind="originals", prefix=folder.name, grace_s=settings.ORPHAN_GRACE_S)
    assert fresh.exists() and foreign.exists()


@pytest.mark.parametrize("prefix", ["00", "09", "0a", "9f", "a0", "ff"])
def test_the_range_of_an_index_is_the_folder_itself(live_photo: Any, prefix: str) -> None:
    photo = live_photo(state="received")
    data = store().get(f"originals/{photo.sha256}")
    for tail in ("0" * 62, "f" * 62):
        Photo.objects.filter(pk=photo.pk).update(sha256=prefix + tail)
        store().put(f"originals/{prefix}{tail}", data)
        assert sweep(kind="originals", prefix=prefix, grace_s=-1).removed in ([], [f"originals/{prefix}{'0' * 62}"])
        assert store().size(f"originals/{prefix}{tail}")


def test_a_photo_that_comes_in_while_its_folder_is_swept_keeps_its_bytes(live_photo: Any, monkeypatch: Any) -> None:
    photo = live_photo(state="received")
    row = Photo.objects.filter(pk=photo.pk).values().get()
    Photo.objects.all().delete()
    objects = store()
    really = objects.delete

    def rival_commits(key: str) -> None:
        Photo.objects.create(**row)
        really(key)

    monkeypatch.setattr(objects, "delete", rival_commits)
    assert sweep(kind="originals", prefix=photo.sha256[:2], grace_s=-1).removed == []
    assert objects.size(f"originals/{photo.sha256}")


def test_every_part_is_swept_by_the_worker_and_orphans_are_gone_within_the_hour(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sweeping, "PREFIXES", sweeping.PREFIXES[::16])
    assert settings.ORPHAN_GRACE_S + settings.SWEEP_STORE_S <= 3600
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert work_once() == 0  # lays out the rows; nothing is due at once
        assert SweptFolder.objects.count() == len(sweeping.parts()) < 8 * 16
        clock.shift(settings.SWEEP_STORE_S)
        keys = [key for kind in KINDS for n in range(99) if (key := orphan(kind, str(n).encode())).split("/")[1][1] == "0"]
        for key in keys:
            then = timezone.now().timestamp()
            os.utime(store().path(key), (then, then))  # type: ignore[attr-defined]
        for _ in range(36):
            clock.shift(100)
            while work_once():
                pass
        assert not any(store().size(key) for key in keys)
        assert SweptFolder.objects.filter(due_at__lte=timezone.now()).count() == 0


def test_the_parts_become_due_one_after_the_other_not_all_at_once(settings: Any) -> None:
    sweeping.due()
    times = sorted(SweptFolder.objects.values_list("due_at", flat=True))
    assert (times[-1] - times[0]).total_seconds() == pytest.approx(settings.SWEEP_STORE_S, rel=0.01)
    in_a_minute = max(sum(t <= later < t + timedelta(seconds=60) for later in times) for t in times[::50])
    assert in_a_minute <= 60 / settings.SWEEP_STORE_S * len(times) + 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_not_sweep_one_part_twice(monkeypatch: Any) -> None:
    SweptFolder.objects.create(kind="originals", prefix="ab", due_at=timezone.now())
    start, swept = threading.Barrier(2), []
    monkeypatch.setattr(sweeping, "sweep", lambda **part: swept.append(part))

    def worker() -> None:
        start.wait()
        sweep_folder(folder="originals/ab")
        connection.close()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(swept) == 1


def test_a_worker_that_dies_leaves_its_part_due_again_soon(settings: Any, monkeypatch: Any) -> None:
    SweptFolder.objects.create(kind="originals", prefix="ab", due_at=timezone.now())

    def killed(**part: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(sweeping, "sweep", killed)
        sweep_folder(folder="originals/ab")
    assert sweep_folder(folder="originals/ab") is None
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.SWEEP_LEASE_S + 1)):
        assert sweep_folder(folder="originals/ab") is not None


def test_the_command_sweeps_everything_and_says_what_it_removed(live_photo: Any, capsys: Any) -> None:
    photo, key = live_photo(), orphan("views")
    call_command("sweep_store")
    assert "4 objects looked at, 0 removed." in capsys.readouterr().out
    call_command("sweep_store", grace_s=0)
    out = capsys.readouterr().out
    assert f"removed {key}" in out and "4 objects looked at, 1 removed." in out
    assert all(store().size(each) for each in needed(photo))


def test_s3_is_swept_alike(live_photo: Any, s3_endpoint: str, settings: Any) -> None:
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket="swept")
    settings.S3_BUCKET, settings.S3_ENDPOINT_URL = "swept", s3_endpoint
    assert isinstance(store(), S3Store)
    photo = live_photo()
    key = orphan("originals", photo.sha256.encode())
    sweep(kind="originals", prefix=key.partition("/")[2][:2], grace_s=600)
    assert store().size(key)
    removed = [each for part in (key, *needed(photo)) for each in _sweep_part_of(part)]
    assert removed == [key] and all(store().size(each) for each in needed(photo))


def _sweep_part_of(key: str) -> list[str]:
    kind, _, digest = key.partition("/")
    return sweep(kind=kind, prefix=digest[:2], grace_s=-5).removed


def test_a_store_is_private_to_its_user(settings: Any) -> None:
    path = store().path(orphan("staging"))  # type: ignore[attr-defined]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name and installed.STORE_DIR in path.parents
