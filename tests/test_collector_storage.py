"""Where bytes lie: whole or not at all, on disk and in S3 (moto stands in for S3: a real socket, not the real service)."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from collector.storage import LocalStore, MissingObject, S3Store, Store, put_blob, store

KEY = f"originals/{'ab' * 32}"


@pytest.fixture(params=["local", "s3"])
def any_store(request: Any, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path)
    endpoint = request.getfixturevalue("s3_endpoint")
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="photos")
    made = S3Store("photos", endpoint)
    made.delete(KEY)
    return made


def test_what_is_put_can_be_read_measured_and_deleted(any_store: Store) -> None:
    assert any_store.size(KEY) is None
    with pytest.raises(MissingObject):
        any_store.get(KEY)
    any_store.put(KEY, b"bytes")
    any_store.put(KEY, b"bytes")
    assert any_store.get(KEY) == b"bytes" and any_store.size(KEY) == 5
    assert [item.key for item in any_store.list("originals", "ab")] == [KEY]
    assert abs((next(any_store.list("originals", "ab")).written_at - datetime.now(UTC)).total_seconds()) < 60
    assert list(any_store.list("originals", "ac")) == []
    any_store.delete(KEY)
    any_store.delete(KEY)
    assert any_store.size(KEY) is None and list(any_store.list("originals", "ab")) == []


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("config.files.os.fsync", full)
    with pytest.raises(OSError, match="space"):
        LocalStore(tmp_path).put(KEY, b"bytes")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_blob_is_named_by_its_digest(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path
    digest = put_blob("blobs", b"model")
    assert digest == hashlib.sha256(b"model").hexdigest()
    assert store().get(f"blobs/{digest}") == b"model"
