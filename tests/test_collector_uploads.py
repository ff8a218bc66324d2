"""Uploads in pieces and past us: nothing acknowledged is lost, nothing staged stays, nobody takes more than their share."""

import hashlib
import io
import stat
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import hypothesis.strategies as st
import pytest
import requests
import time_machine
from django.db import connection
from django.utils import timezone
from hypothesis import settings as examples
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from collector import direct, staging, uploads
from collector.erasure import erase
from collector.errors import (
    ChecksumMismatch,
    EmptyBody,
    LengthMismatch,
    LimitReached,
    NoDirectUpload,
    NotAnAllowedFormat,
    NotAsAnnounced,
    PhotoConflict,
    PhotoTooLarge,
    TooManyPieces,
    TooManyUploads,
    UnknownUpload,
    UploadBusy,
    UploadGone,
    UploadTooLong,
    WrongOffset,
)
from collector.limits import of_volunteer, spend
from collector.models import Photo, Piece, Upload
from collector.storage import MissingObject, S3Store, store
from collector.volunteers import register
from config import duties
from tests.drawing import SECRET, jpeg

pytestmark = pytest.mark.django_db
PHOTO = jpeg(1)


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def begin(recognizer: Any, volunteer: Any) -> Any:
    """`begin(length=…)` opens an upload of `volunteer`."""

    def open_one(**changes: Any) -> Upload:
        label = recognizer.labels.get(slug="gold")
        asked = {"volunteer": volunteer, "photo_id": uuid.uuid4(), "recognizer": recognizer, "label": label, "challenge": None}
        return uploads.begin(**asked | {"length": len(PHOTO)} | changes)

    return open_one


def add(upload: Upload, data: bytes, *, at: int | None = None, stream: Any = None, **more: Any) -> staging.Standing:
    offset = Upload.objects.get(pk=upload.pk).offset if at is None else at
    told = {"upload_id": upload.pk, "volunteer": upload.volunteer, "offset": offset, "length": len(data)}
    return uploads.append(**told, stream=stream or io.BytesIO(data), **more)


def staged(settings: Any) -> list[Path]:
    return [path for path in (settings.STORE_DIR / "staging").rglob("*") if path.is_file()]


def state_of(upload: Upload) -> str:
    return str(Upload.objects.values_list("state", flat=True).get(pk=upload.pk))


class Breaking:
    """A connection that brings `data` and then breaks: by an error, or by its end."""

    def __init__(self, data: bytes, error: type[OSError] | None) -> None:
        self.data, self.error = io.BytesIO(data), error

    def read(self, size: int, /) -> bytes:
        chunk = self.data.read(size)
        if not chunk and self.error:
            raise self.error("gone")
        return chunk


# ---- pieces become the photo -------------------------------------------------------------------------------------
def test_pieces_become_the_photo_that_the_whole_body_would_have_become(begin: Any, settings: Any) -> None:
    upload = begin()
    assert add(upload, PHOTO[:1000]).photo is None
    assert add(upload, PHOTO[1000:1001]).upload.offset == 1001
    done = add(upload, PHOTO[1001:])
    photo = Photo.objects.get(pk=upload.photo_id)
    assert done.photo == photo and done.created and photo.claimed.slug == "gold"
    assert photo.sent_sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert SECRET.encode() not in store().get(f"originals/{photo.sha256}")
    assert staged(settings) == [] and not Piece.objects.exists() and state_of(upload) == "taken"


def test_a_photo_is_taken_in_once_however_often_it_is_finished(begin: Any) -> None:
    upload = begin()
    add(upload, PHOTO)
    again = add(upload, b"")
    assert again.upload.state == "taken" and again.photo is None and Photo.objects.count() == 1
    twin = begin(photo_id=upload.photo_id)
    assert not add(twin, PHOTO).created and state_of(twin) == "taken" and Photo.objects.count() == 1
    other = begin(photo_id=upload.photo_id, length=len(jpeg(2)))
    with pytest.raises(PhotoConflict):
        add(other, jpeg(2))
    assert state_of(other) == "refused" and Photo.objects.count() == 1


@pytest.mark.parametrize("error", [None, ConnectionResetError, TimeoutError])
def test_what_came_before_the_connection_broke_is_kept(begin: Any, error: type[OSError] | None) -> None:
    upload = begin()
    stands = add(upload, PHOTO, stream=Breaking(PHOTO[:3000], error))
    assert stands.upload.offset == 3000 and stands.photo is None
    assert add(upload, PHOTO[3000:]).photo is not None


def test_with_a_checksum_it_is_all_or_nothing(begin: Any, settings: Any) -> None:
    upload = begin()
    right = uploads.Checksum("sha1", hashlib.sha1(PHOTO).digest())
    with pytest.raises(LengthMismatch):
        add(upload, PHOTO, stream=Breaking(PHOTO[:3000], None), checksum=right)
    with pytest.raises(ChecksumMismatch):
        add(upload, PHOTO[:-1] + b"x", checksum=right)
    assert staged(settings) == [] and Upload.objects.get().offset == 0
    assert add(upload, PHOTO, checksum=right).photo is not None


def test_a_wrong_offset_or_too_many_bytes_change_nothing(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:10])
    for at in (0, 9, 11):
        with pytest.raises(WrongOffset) as wrong:
            add(upload, PHOTO[10:20], at=at)
        assert wrong.value.facts == {"offset": 10}
    with pytest.raises(UploadTooLong):
        add(upload, PHOTO[10:] + b"x")
    assert len(staged(settings)) == 1 and Upload.objects.get().offset == 10


def test_what_is_no_photo_is_refused_by_its_first_bytes(begin: Any, settings: Any) -> None:
    upload = begin()
    with pytest.raises(NotAnAllowedFormat):
        add(upload, b"GIF89a" + bytes(1000))
    assert state_of(upload) == "refused" and staged(settings) == []
    with pytest.raises(UploadGone) as gone:
        add(upload, b"", at=0)
    assert gone.value.facts == {"reason": "urn:photorally:not-an-allowed-format"}


def test_lengths_that_no_photo_has_are_refused_at_the_beginning(begin: Any, settings: Any) -> None:
    with pytest.raises(PhotoTooLarge):
        begin(length=settings.PHOTO_MAX_BYTES + 1)
    with pytest.raises(EmptyBody):
        begin(length=0)
    assert not Upload.objects.exists()


def test_an_upload_is_nobody_elses_and_ends_when_its_phone_says_so(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:100])
    grace, _ = register(consent=True, handle="Grace", address="192.0.2.2")
    for call in (uploads.standing, uploads.abandon):
        with pytest.raises(UnknownUpload):
            call(upload_id=upload.pk, volunteer=grace)
    uploads.abandon(upload_id=upload.pk, volunteer=upload.volunteer)
    assert staged(settings) == [] and not Piece.objects.exists()
    with pytest.raises(UploadGone):
        add(upload, PHOTO[100:], at=100)


def test_the_daily_limit_holds_at_the_end_too_and_leaves_the_upload_to_be_finished(begin: Any, settings: Any) -> None:
    upload = begin()
    settings.PHOTOS_PER_DAY = 1
    spend(of_volunteer("photos", upload.volunteer, 1))
    with pytest.raises(LimitReached):
        add(upload, PHOTO)
    assert state_of(upload) == "open" and len(staged(settings)) == 1 and staging.complete() == []
    settings.PHOTOS_PER_DAY = 2
    assert uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer).photo is not None


# ---- deaths, races, bounds ---------------------------------------------------------------------------------------
def test_a_process_that_died_before_the_photo_was_taken_in_is_replaced(begin: Any, settings: Any, monkeypatch: Any) -> None:
    upload = begin()
    with monkeypatch.context() as patch:
        patch.setattr(staging, "receive", lambda **facts: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add(upload, PHOTO)
    assert Upload.objects.get().offset == len(PHOTO) and staging.complete() == []  # its lease still holds
    with pytest.raises(UploadBusy):
        uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer)
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.UPLOAD_LEASE_S + 1)):
        assert staging.complete() == [str(upload.pk)]
        duties.work_once()
        photo = Photo.objects.get(pk=upload.photo_id)
        assert uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer).upload.state == "taken"
    assert photo.state == "received" and staged(settings) == []


def test_of_two_writers_at_one_offset_one_wins_and_the_others_bytes_are_removed(begin: Any, settings: Any) -> None:
    upload = begin()

    class Rival(io.BytesIO):
        """While our bytes come in, another request brings the same ones."""

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 0:
                add(upload, PHOTO[:2000], at=0)
            return super().read(size)

    with pytest.raises(WrongOffset) as lost:
        add(upload, PHOTO[:500], at=0, stream=Rival(PHOTO[:500]))
    assert lost.value.facts == {"offset": 2000} and len(staged(settings)) == 1
    assert add(upload, PHOTO[2000:]).photo is not None


def test_what_the_store_does_not_take_is_not_acknowledged(begin: Any, monkeypatch: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:1000])
    with monkeypatch.context() as patch:
        patch.setattr(type(store()), "put", lambda *args: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(OSError, match="No space"):
            add(upload, PHOTO[1000:2000])
    assert uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer).upload.offset == 1000
    assert add(upload, PHOTO[1000:]).photo is not None


@pytest.mark.django_db(transaction=True)
def test_ten_concurrent_finishers_make_one_photo(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:5000])
    ends: list[str] = []

    def finish() -> None:
        try:
            ends.append("new" if add(upload, PHOTO[5000:], at=5000).created else "old")
        except (WrongOffset, UploadBusy, UploadGone) as problem:
            ends.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 10 and ends.count("new") == 1 and Photo.objects.count() == 1
    assert state_of(upload) == "taken" and staged(settings) == []


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_open_no_upload_too_many(begin: Any, settings: Any) -> None:
    settings.UPLOADS_OPEN = 3
    refused: list[TooManyUploads] = []

    def open_one() -> None:
        try:
            begin()
        except TooManyUploads as problem:
            refused.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=open_one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Upload.objects.filter(slot__isnull=False).count() == Upload.objects.count() == 3 and len(refused) == 17
    assert all(0 < (problem.retry_after_s or 0) <= settings.UPLOAD_VALID_S + 1 for problem in refused)
    first = Upload.objects.first()
    assert first is not None
    uploads.abandon(upload_id=first.pk, volunteer=first.volunteer)
    begin()  # an ended one makes room


def test_tiny_pieces_are_bounded_and_so_are_uploads_begun_in_a_day(begin: Any, settings: Any) -> None:
    settings.UPLOAD_PIECES_MOST, settings.UPLOADS_PER_DAY = 3, 1
    upload = begin()
    for _ in range(3):
        add(upload, PHOTO[upload.offset : upload.offset + 1])
        upload.refresh_from_db()
    with pytest.raises(TooManyPieces):
        add(upload, PHOTO[3:])
    assert state_of(upload) == "refused" and staged(settings) == []
    with pytest.raises(LimitReached):
        begin()


# ---- nothing staged stays ----------------------------------------------------------------------------------------
def test_staged_bytes_are_for_our_user_alone(begin: Any, settings: Any) -> None:
    add(begin(), PHOTO[:3000])
    (piece,) = staged(settings)
    assert stat.S_IMODE(piece.stat().st_mode) == 0o600
    assert stat.S_IMODE((settings.STORE_DIR / "staging").stat().st_mode) == 0o700


def test_within_the_hour_every_staged_byte_is_gone_also_what_no_row_names(begin: Any, settings: Any) -> None:
    upload, begun = begin(), timezone.now()
    add(upload, PHOTO[:3000])
    store().put(f"staging/{upload.pk.hex}dead", PHOTO)  # a process died between the object and the row
    assert staging.overdue() == [] and len(staged(settings)) == 2
    with time_machine.travel(begun + timedelta(seconds=settings.UPLOAD_VALID_S + 1), tick=False):
        with pytest.raises(UploadGone):
            add(upload, PHOTO[3000:])
        duties.work_once()
        assert state_of(upload) == "expired" and staged(settings) == [] and not Piece.objects.exists()
        store().put(f"staging/{upload.pk.hex}beef", PHOTO)  # a request that began before the end
    with time_machine.travel(begun + timedelta(minutes=58), tick=False):
        duties.work_once()
        assert staged(settings) == [] and staging.overdue() == []
        with pytest.raises(UploadGone):
            uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer)
    with time_machine.travel(begun + timedelta(seconds=settings.UPLOAD_KEEP_S + 1), tick=False):
        duties.work_once()
        with pytest.raises(UnknownUpload):
            uploads.standing(upload_id=upload.pk, volunteer=upload.volunteer)


def test_a_write_in_progress_is_left_to_its_request_and_the_rest_of_a_dead_one_is_removed(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:3000])
    (piece,) = staged(settings)
    part = piece.with_name(f"{upload.pk.hex}beef.1234.part")
    part.write_bytes(PHOTO)
    uploads.abandon(upload_id=upload.pk, volunteer=upload.volunteer)
    assert staged(settings) == [part]
    with time_machine.travel(upload.expires_at + timedelta(seconds=settings.UPLOAD_LATE_S + 1)):
        duties.work_once()
    assert staged(settings) == []


def test_whoever_leaves_leaves_nothing_staged(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:3000])
    erase(volunteer=upload.volunteer)
    duties.work_once()
    assert staged(settings) == [] and not Photo.objects.exists() and state_of(upload) == "expired"


def test_a_sweeper_leaves_an_upload_alone_while_it_is_taken_in(begin: Any, settings: Any) -> None:
    upload = begin()
    add(upload, PHOTO[:3000])
    with time_machine.travel(upload.expires_at - timedelta(seconds=5)):
        assert staging.claim(upload) and not staging.claim(upload)
    with time_machine.travel(upload.expires_at + timedelta(seconds=5)):
        assert staging.overdue() == []
        staging.sweep(upload_id=upload.pk)
    assert len(staged(settings)) == 1
    with time_machine.travel(upload.expires_at + timedelta(seconds=settings.UPLOAD_LEASE_S)):
        assert staging.overdue() == [str(upload.pk)]


# ---- any order of good and bad events ----------------------------------------------------------------------------
def test_any_order_of_sending_losing_repeating_and_expiring_keeps_exactly_what_was_acknowledged(
    begin: Any, settings: Any
) -> None:
    settings.UPLOADS_PER_DAY = settings.PHOTOS_PER_DAY = 10**6

    class Sending(RuleBasedStateMachine):
        """The model: how many bytes were acknowledged, and whether it is open."""

        @initialize()
        def start(self) -> None:
            self.clock = time_machine.travel(timezone.now(), tick=False)
            self.now = self.clock.start()
            self.upload, self.got, self.open = begin(), 0, True

        def teardown(self) -> None:
            if hasattr(self, "clock"):
                if self.open:
                    uploads.abandon(upload_id=self.upload.pk, volunteer=self.upload.volunteer)
                self.clock.stop()

        @precondition(lambda self: self.open)
        @rule(length=st.sampled_from([1, 700, 4000, 10**9]), checked=st.booleans())
        def send(self, length: int, checked: bool) -> None:
            data = PHOTO[self.got : self.got + length]
            check = uploads.Checksum("sha256", hashlib.sha256(data).digest()) if checked else None
            self.told(add(self.upload, data, at=self.got, checksum=check), len(data))

        @precondition(lambda self: self.open)
        @rule(arrived=st.integers(0, 5000), reset=st.booleans())
        def break_off(self, arrived: int, reset: bool) -> None:
            rest = PHOTO[self.got :]
            came = min(arrived, len(rest))
            stream = Breaking(rest[:came], ConnectionResetError if reset else None)
            self.told(add(self.upload, rest, at=self.got, stream=stream), came)

        @precondition(lambda self: self.open and self.got)
        @rule(back=st.integers(1, 5000))
        def repeat(self, back: int) -> None:
            """The answer was lost, and the phone sends the same again without asking."""
            at = max(0, self.got - back)
            with pytest.raises(WrongOffset):
                add(self.upload, PHOTO[at : at + 10], at=at)

        @precondition(lambda self: self.open and self.got < len(PHOTO))
        @rule()
        def damage(self) -> None:
            with pytest.raises(ChecksumMismatch):
                add(self.upload, PHOTO[self.got :], at=self.got, checksum=uploads.Checksum("sha1", bytes(20)))

        @precondition(lambda self: self.open)
        @rule(what=st.sampled_from(["abort", "expire"]))
        def end(self, what: str) -> None:
            if what == "abort":
                uploads.abandon(upload_id=self.upload.pk, volunteer=self.upload.volunteer)
            else:
                self.now.shift(settings.UPLOAD_VALID_S)
                duties.DUTIES["collector.sweep_upload"].perform(str(self.upload.pk))
            self.open = False

        @precondition(lambda self: not self.open)
        @rule()
        def too_late(self) -> None:
            with pytest.raises(UploadGone):
                add(self.upload, b"x", at=self.got)

        def told(self, stands: staging.Standing, came: int) -> None:
            self.got += came
            assert stands.upload.offset == self.got

        @invariant()
        def nothing_acknowledged_is_lost_and_nothing_else_is_kept(self) -> None:
            if not hasattr(self, "upload"):
                return
            photo = Photo.objects.filter(pk=self.upload.photo_id).first()
            assert (photo is not None) == (self.got == len(PHOTO))
            if photo is not None:
                assert photo.sent_sha256 == hashlib.sha256(PHOTO).hexdigest()
            kept = b"".join(store().get(piece.key) for piece in Piece.objects.filter(upload=self.upload))
            lies = [item.key for item in store().list("staging", self.upload.pk.hex)]
            assert kept == (PHOTO[: self.got] if self.open and photo is None else b"")
            assert len(lies) == Piece.objects.filter(upload=self.upload).count()

    run_state_machine_as_test(Sending, settings=examples(max_examples=25, stateful_step_count=12, deadline=None))


# ---- past us, into the object store ------------------------------------------------------------------------------
@pytest.fixture
def bucket(s3_endpoint: str, settings: Any) -> Any:
    """An S3 of its own: moto, a real socket that checks neither signatures nor their conditions."""
    settings.S3_BUCKET, settings.S3_ENDPOINT_URL = f"b{uuid.uuid4().hex}", s3_endpoint
    made = boto3.resource("s3", endpoint_url=s3_endpoint).Bucket(settings.S3_BUCKET)
    made.create()
    return made


@pytest.fixture
def announce(recognizer: Any, api: Any) -> Any:
    """`announce(photo_id, body)`: the phone's call, over HTTP."""

    def call(photo_id: uuid.UUID, body: bytes, **changes: Any) -> Any:
        asked = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} | changes
        return api.post(f"/api/v1/photos/{photo_id}/upload?recognizer=coins&label=gold", asked, format="json")

    return call


def put(announced: Any, body: bytes) -> None:
    told = announced.json()
    assert requests.request(told["method"], told["url"], data=body, headers=told["headers"], timeout=10).status_code == 200


def later(seconds: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds))


def test_a_photo_put_into_the_object_store_is_taken_in_after_it_was_read_again(announce: Any, bucket: Any) -> None:
    photo_id = uuid.uuid4()
    first = announce(photo_id, PHOTO)
    assert first.status_code == 201 and Upload.objects.get().way == "direct"
    assert "content-length" in first.json()["url"] and "X-Amz-Algorithm=AWS4-HMAC-SHA256" in first.json()["url"]
    with later(6):
        duties.work_once()
        assert not Photo.objects.exists()  # nothing has arrived
        again = announce(photo_id, PHOTO)
        assert again.status_code == 201 and Upload.objects.count() == 1
        put(again, PHOTO)
        announce(photo_id, PHOTO)  # it rings
        duties.work_once()
        duties.work_once()
    photo = Photo.objects.get(pk=photo_id)
    assert photo.state == "pending" and photo.sent_sha256 == hashlib.sha256(PHOTO).hexdigest()
    done = announce(photo_id, PHOTO)
    assert done.status_code == 200 and done.json()["id"] == str(photo_id)
    assert all(SECRET.encode() not in item.get()["Body"].read() for item in bucket.objects.all())
    assert not list(bucket.objects.filter(Prefix="staging/"))


@pytest.mark.parametrize("came", [PHOTO[:-1], PHOTO + b"x", PHOTO[:-1] + b"x"], ids=["short", "long", "other"])
def test_what_is_not_what_was_announced_is_removed_and_the_phone_learns_why(announce: Any, bucket: Any, came: bytes) -> None:
    photo_id = uuid.uuid4()
    url = announce(photo_id, PHOTO).json()["url"]
    bucket.put_object(Key=f"staging/{Upload.objects.get().pk.hex}", Body=came)  # whatever a store lets through
    with later(6):
        duties.work_once()
        told = announce(photo_id, PHOTO)
        assert told.status_code == 422 and told.json()["type"] == "urn:photorally:not-as-announced"
        # By its size alone where that is wrong: a giant is not read.
        assert ("bytes were announced" in told.json()["detail"]) == (len(came) != len(PHOTO))
        assert url and not list(bucket.objects.all()) and not Photo.objects.exists()
        assert announce(photo_id, came).status_code == 201  # other bytes are another try


def test_a_refused_photo_is_told_as_a_put_would_have_told_it(announce: Any, bucket: Any) -> None:
    photo_id, body = uuid.uuid4(), b"GIF89a" + bytes(500)
    put(announce(photo_id, body), body)
    with later(6):
        duties.work_once()
        told = announce(photo_id, body)
    assert (told.status_code, told.json()["type"]) == (415, "urn:photorally:not-an-allowed-format")
    assert told["Content-Type"] == "application/problem+json" and not list(bucket.objects.all())


def test_what_is_put_after_the_photo_was_taken_in_is_swept(announce: Any, bucket: Any, settings: Any) -> None:
    photo_id = uuid.uuid4()
    address = announce(photo_id, PHOTO)
    put(address, PHOTO)
    with later(6):
        duties.work_once()
    assert Photo.objects.exists()
    put(address, PHOTO)
    with later(settings.UPLOAD_VALID_S + settings.UPLOAD_LATE_S + 1):
        duties.work_once()
    assert not list(bucket.objects.filter(Prefix="staging/"))


def test_an_object_that_became_larger_since_we_looked_is_not_read_whole(bucket: Any) -> None:
    bucket.put_object(Key="staging/abcd", Body=PHOTO)
    source = store()
    assert isinstance(source, S3Store) and source.get_at_most("staging/abcd", 99) == PHOTO[:100]
    with pytest.raises(MissingObject):
        source.get_at_most("staging/abce", 99)


def test_an_address_never_works_in_the_last_minutes_of_its_upload(announce: Any, bucket: Any, settings: Any) -> None:
    photo_id = uuid.uuid4()
    announce(photo_id, PHOTO)
    first = Upload.objects.get()
    with time_machine.travel(first.expires_at - timedelta(seconds=settings.DIRECT_SPARE_S + 60), tick=False):
        told = announce(photo_id, PHOTO).json()
        assert "X-Amz-Expires=60&" in told["url"] + "&" and Upload.objects.count() == 1
    with time_machine.travel(first.expires_at - timedelta(seconds=settings.DIRECT_SPARE_S - 1), tick=False):
        assert announce(photo_id, PHOTO).status_code == 201
    assert state_of(first) == "ended" and Upload.objects.filter(state="open").count() == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_for_one_direct_upload_open_one(bucket: Any, recognizer: Any, volunteer: Any) -> None:
    asked = {"volunteer": volunteer, "photo_id": uuid.uuid4(), "recognizer": recognizer, "challenge": None}
    asked |= {"label": recognizer.labels.get(slug="gold"), "length": len(PHOTO), "sha256": hashlib.sha256(PHOTO).hexdigest()}
    answers: list[Any] = []

    def call() -> None:
        try:
            answers.append(direct.announce(**asked))
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6 and Upload.objects.count() == 1


def test_without_an_object_store_the_phone_is_told_what_to_do(announce: Any) -> None:
    told = announce(uuid.uuid4(), PHOTO)
    assert (told.status_code, told.json()["type"]) == (409, f"urn:photorally:{NoDirectUpload.code}")


@pytest.mark.parametrize("wrong", [{"bytes": 0}, {"sha256": "A" * 64}, {"sha256": "a" * 63}, {"bytes": "many"}])
def test_a_malformed_announcement_is_a_400(announce: Any, bucket: Any, wrong: dict[str, Any]) -> None:
    assert announce(uuid.uuid4(), PHOTO, **wrong).status_code == 400 and not Upload.objects.exists()


def test_a_direct_upload_is_refused_at_once_where_its_size_says_so(announce: Any, bucket: Any, settings: Any) -> None:
    assert announce(uuid.uuid4(), PHOTO, bytes=settings.PHOTO_MAX_BYTES + 1).status_code == 413
    assert NotAsAnnounced.status == 422 and not Upload.objects.exists()
