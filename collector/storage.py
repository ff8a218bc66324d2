"""Where bytes lie: a store of immutable objects named by digest, on local disk or in S3."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from django.conf import settings

from config.files import write_whole


class MissingObject(LookupError):
    """The store has no object of that key."""


class Listed(NamedTuple):
    """An object of a listing: its key, and when it was written last (aware, UTC)."""

    key: str
    written_at: datetime


class Store(Protocol):
    """Keys are `<kind>/<hex>`, mostly `<kind>/<sha256>`. An object is written whole or not at all, and never changed."""

    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def size(self, key: str) -> int | None: ...
    def delete(self, key: str) -> None: ...
    def list(self, kind: str, prefix: str) -> Iterator[Listed]: ...


class LocalStore:
    """Files under a folder, written whole: a reader never sees half an object."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        kind, digest = key.split("/")
        return self.root / kind / digest[:2] / digest  # 256 folders a kind: a million files stay 4,000 to a folder

    def put(self, key: str, data: bytes) -> None:
        path = self.path(key)
        try:
            write_whole(path, data)
        except FileNotFoundError:  # its folder is made once for 4,000 objects
            for folder in (self.root, path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # photos are nobody's business on a shared machine
            write_whole(path, data)

    def get(self, key: str) -> bytes:
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            raise MissingObject(key) from None

    def size(self, key: str) -> int | None:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def list(self, kind: str, prefix: str) -> Iterator[Listed]:
        """What lies under `<kind>/<prefix>…`; `prefix` is empty or has at least the two digits that name a folder."""
        for path in sorted((self.root / kind).glob(f"{prefix[:2] or '??'}/{prefix}*")):
            try:
                written = path.stat().st_mtime
            except FileNotFoundError:  # deleted or renamed while we looked
                continue
            yield Listed(f"{kind}/{path.name}", datetime.fromtimestamp(written, UTC))


class S3Store:
    """Objects in one S3 bucket; an S3 PUT is atomic by itself."""

    def __init__(self, bucket: str, endpoint_url: str | None) -> None:
        import boto3  # a third of a second to import: only where S3 is used

        self.bucket, self.endpoint_url = bucket, endpoint_url
        self.client: Any = boto3.client("s3", endpoint_url=endpoint_url)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        try:
            body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            raise MissingObject(key) from None
        return body

    def size(self, key: str) -> int | None:
        from botocore.exceptions import ClientError

        try:
            length: int = self.client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return length

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def get_at_most(self, key: str, most: int) -> bytes:
        """The first `most` + 1 bytes at the utmost: who can still replace the object must not fill our memory."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=0-{most}")
        except self.client.exceptions.NoSuchKey:
            raise MissingObject(key) from None
        body: bytes = answer["Body"].read(most + 1)  # a store may ignore Range
        return body

    def presign_put(self, key: str, *, length: int, content_type: str, seconds: int) -> str:
        """An address that takes one PUT of `length` bytes (signed with AWS Signature Version 4), for `seconds`."""
        import boto3
        from botocore.config import Config

        # A client of its own: Version 2, which some regions default to, signs no length; and botocore would sign a CRC of
        # an empty body. Signing is arithmetic: nothing is sent.
        config = Config(signature_version="s3v4", request_checksum_calculation="when_required")
        client = boto3.client("s3", endpoint_url=self.endpoint_url, config=config)
        what = {"Bucket": self.bucket, "Key": key, "ContentLength": length, "ContentType": content_type}
        url: str = client.generate_presigned_url("put_object", Params=what, ExpiresIn=seconds)
        return url

    def presign_get(self, key: str, *, seconds: int) -> str:
        """An address that gives the object to whoever has it, for `seconds`. Signing is arithmetic: nothing is sent."""
        what = {"Bucket": self.bucket, "Key": key}
        url: str = self.client.generate_presigned_url("get_object", Params=what, ExpiresIn=seconds)
        return url

    def list(self, kind: str, prefix: str) -> Iterator[Listed]:
        """What lies under `<kind>/<prefix>…`."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{kind}/{prefix}")
        for page in pages:
            yield from (Listed(item["Key"], item["LastModified"]) for item in page.get("Contents", ()))


@cache
def _store(root: Path, bucket: str, endpoint_url: str) -> Store:
    return S3Store(bucket, endpoint_url or None) if bucket else LocalStore(root)


def store() -> Store:
    """The store of this installation."""
    return _store(settings.STORE_DIR, settings.S3_BUCKET, settings.S3_ENDPOINT_URL)


def put_blob(kind: str, data: bytes) -> str:
    """Store `data` as `<kind>/<sha256>`; returns the lower-case hex SHA-256."""
    digest = hashlib.sha256(data).hexdigest()
    store().put(f"{kind}/{digest}", data)
    return digest
