"""INTAKE for owners: folders and zips come in through the phones' verb, safely repeated, with each refusal named."""

import io
import itertools
import random
import re
import threading
import tracemalloc
import warnings
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from PIL import Image

from collector import import_jobs, import_steps
from collector.archives import NotAZip, TooManyMembers, Zip
from collector.importing import BeingDecoded, NoLabel, Plan, import_one, label_name, prepare_recognizer
from collector.models import ImportJob, Photo, Recognizer, Volunteer
from collector.moderation import decide
from collector.pieces import Pieces, key_of
from collector.storage import store
from config.errors import Problem
from tests.drawing import jpeg
from tests.zips import many, zipped

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, label in enumerate(("Green-Apple", "Pear")):
        (tmp_path / label).mkdir()
        for seed in range(10):
            (tmp_path / label / f"{seed}.jpg").write_bytes(jpeg(100 * number + seed, size=(96, 64)))
    (tmp_path / "Pear" / "cut.jpg").write_bytes(jpeg(99)[:-300])
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("not a photo")
    return tmp_path


def run(*args: Any, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_photos", *args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_a_folder_becomes_a_recognizer_with_accepted_photos_in_all_splits(folder: Path) -> None:
    out, err = run(str(folder), recognizer="fruit", accept=True)
    assert "20 new" in out and "20 accepted" in out and "2 refused" in out
    assert "Pear/cut.jpg" in err and "notes/readme.txt" in err
    recognizer = Recognizer.objects.get(slug="fruit")
    assert [(label.slug, label.name) for label in recognizer.labels.all()] == [("green-apple", "Green Apple"), ("pear", "Pear")]
    splits = Counter(Photo.objects.values_list("label__slug", "split"))
    for label in ("green-apple", "pear"):
        assert splits[label, "train"] == 7 and splits[label, "test"] in (1, 2) and splits[label, "validation"] in (1, 2)


def test_importing_again_adds_nothing(folder: Path) -> None:
    run(str(folder), recognizer="fruit")
    assert Photo.objects.filter(state="received").count() == 20
    out, _ = run(str(folder), recognizer="fruit", accept=True)
    assert "0 new, 20 known already, 20 accepted" in out
    assert Photo.objects.count() == 20


def test_an_import_belongs_to_nobody_who_could_sign_in(folder: Path) -> None:
    run(str(folder), recognizer="fruit")
    assert Volunteer.objects.get().token_hash == "import:fruit"  # no SHA-256 looks like this


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    for prepare in (lambda: None, lambda: (tmp_path / "a").mkdir(), lambda: (tmp_path / "a" / "x.txt").write_text("x")):
        prepare()
        with pytest.raises(CommandError):
            run(str(tmp_path), recognizer="fruit")
    assert Recognizer.objects.count() == 0


def test_nested_folders_take_the_innermost_name_and_loose_files_are_refused(tmp_path: Path) -> None:
    for name in ("shop/spring/Pear/1.jpg", "loose.jpg", "shop/.cache/2.jpg", "__MACOSX/Pear/3.jpg", "shop/Pear/.DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(5, size=(96, 64)))
    out, err = run(str(tmp_path), recognizer="fruit")
    assert "1 new" in out and "1 refused, 1 labels" in out and "refused loose.jpg: It lies in no folder" in err
    assert Photo.objects.get().claimed.slug == "pear"


def test_a_zip_is_imported_like_its_folder_and_the_folder_is_known_afterwards(folder: Path, tmp_path_factory: Any) -> None:
    packed = tmp_path_factory.mktemp("zips") / "fruit.zip"
    packed.write_bytes(zipped({f"all/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}))
    out, err = run(str(packed), recognizer="fruit")
    assert "20 new" in out and "2 refused" in out and "all/Pear/cut.jpg" in err
    out, _ = run(str(folder), recognizer="fruit")
    assert "0 new, 20 known already" in out


def test_a_file_that_is_no_zip_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(jpeg(1))
    for name, words in (("no.zip", "cannot be opened: File is not a zip"), ("gone", "No such file")):
        with pytest.raises(CommandError, match=words):
            run(str(tmp_path / name), recognizer="fruit")


def test_names_are_only_taken_apart() -> None:
    good = {"Pear/1.jpg": "Pear", "/abs/Äpfel/1.jpg": "Äpfel", "C:\\x\\Pear\\1.jpg": "Pear", "./Pear//1.jpg": "Pear"}
    good |= {"A\u0308pfel/1.jpg": "Äpfel", "Pe\u202ear\x00/1.jpg": "Pear"}
    assert {name: label_name(name) for name in good} == good
    for bad in (
        "1.jpg",
        "../Pear/1.jpg",
        "Pear/../1.jpg",
        "..\\Pear\\1.jpg",
        "!!!/1.jpg",
        f"{'x' * 81}/1.jpg",
        "\ufdfa" * 9 + "/1",
    ):
        with pytest.raises(NoLabel):
            label_name(bad)


@pytest.mark.django_db(transaction=True)
def test_labels_that_are_made_at_the_same_moment_get_positions_of_their_own(recognizer: Recognizer) -> None:
    names, start = [*"abcdefga"], threading.Barrier(8)

    def make(name: str) -> None:
        start.wait()
        prepare_recognizer(slug="coins", names=[name])
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, names))
    assert sorted(recognizer.labels.values_list("position", flat=True)) == [*range(10)]


# ---- accepting at once -------------------------------------------------------------------------------------------
def test_a_photo_that_a_worker_is_decoding_is_not_passed_over(recognizer: Recognizer, moderator: Any) -> None:
    plan, body = Plan("coins", "", accept=True, moderator=moderator), jpeg(3, size=(96, 64))
    seen = import_one(plan=Plan("coins", ""), name="gold/1.jpg", body=body)
    Photo.objects.update(lease_until=timezone.now() + timedelta(seconds=60))
    with pytest.raises(BeingDecoded):
        import_one(plan=plan, name="gold/1.jpg", body=body)
    Photo.objects.update(lease_until=None)
    again = import_one(plan=plan, name="gold/1.jpg", body=body)
    assert again[:4] == (seen.photo_id, "gold", False, True)
    assert Photo.objects.get().decisions.get().moderator == moderator
    assert import_one(plan=plan, name="gold/1.jpg", body=body).accepted is False  # once is enough
    assert Photo.objects.get().decisions.count() == 1


def test_what_a_moderator_rejected_stays_rejected(recognizer: Recognizer, moderator: Any) -> None:
    plan, body = Plan("coins", "", accept=True), jpeg(3, size=(96, 64))
    photo = import_one(plan=plan, name="gold/1.jpg", body=body).photo_id
    decide(photo_id=photo, moderator=moderator, verdict="reject", reason="unclear")
    import_one(plan=plan, name="gold/1.jpg", body=body)
    assert Photo.objects.get().state == "rejected"


# ---- hostile zips ------------------------------------------------------------------------------------------------
def opened(data: bytes) -> Zip:
    return Zip(io.BytesIO(data))


def refusals(archive: Zip) -> dict[str, str]:
    """The reason for each member that cannot be read."""
    found = {}
    for number, name in enumerate(archive.names):
        try:
            archive.read(number)
        except Problem as problem:
            found[name] = problem.detail
    return found


def test_a_bomb_is_inflated_no_further_than_a_photo_may_be(settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 2**20
    data = zipped({"a/bomb.jpg": b"\xff\xd8\xff" + bytes(60 * 2**20), "a/good.jpg": b"x"})
    archive = opened(data)
    tracemalloc.start()
    assert list(refusals(archive)) == ["a/bomb.jpg"]
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("claimed", [0, 100, 2**32 - 2])
def test_a_member_that_lies_about_its_size_is_refused_or_cut(claimed: int, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 2**20
    data = bytearray(zipped({"a/bomb.jpg": bytes(30 * 2**20)}))
    entry = data.index(b"PK\x01\x02")
    for at in (22, entry + 24):  # the uncompressed size, in the member's own header and in the list
        data[at : at + 4] = claimed.to_bytes(4, "little")
    assert list(refusals(opened(bytes(data)))) == ["a/bomb.jpg"]


def test_encrypted_unusual_and_damaged_members_are_refused_one_by_one() -> None:
    data = bytearray(
        zipped({"a/1.jpg": b"secret" * 50, "a/2.jpg": b"good" * 50, "a/3.jpg": b"hurt" * 50, "a/4.jpg": b"bz" * 50})
    )
    entries = [match.start() for match in re.finditer(b"PK\x01\x02", data)]
    data[entries[0] + 8] |= 1  # encrypted
    headers = [match.start() for match in re.finditer(b"PK\x03\x04", data)]
    data[headers[2] + 30 + 7 + 4] ^= 0xFF  # a byte of the third one's data
    data[entries[3] + 10] = zipfile.ZIP_BZIP2
    found = refusals(opened(bytes(data)))
    assert list(found) == ["a/1.jpg", "a/3.jpg", "a/4.jpg"]
    assert found["a/1.jpg"] == "It is encrypted." and "damaged" in found["a/3.jpg"] and "unusual" in found["a/4.jpg"]


def test_no_truncation_and_no_flipped_byte_does_more_than_refuse() -> None:
    whole = zipped({f"a/{number}.jpg": bytes(range(256)) for number in range(3)})
    rng = random.Random(20261122)
    for turn in range(600):
        data = bytearray(whole)
        if turn % 2:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(1, 6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            refusals(opened(bytes(data)))
        except (NotAZip, TooManyMembers):
            continue


def test_seventy_thousand_members_are_refused_and_so_is_a_list_that_never_ends(settings: Any) -> None:
    with pytest.raises(TooManyMembers, match="lists 70000"):
        opened(many(70_000))
    settings.IMPORT_ZIP_MAX_MEMBERS = 100
    with pytest.raises(TooManyMembers, match="lists more"):
        opened(many(1000))


def test_litter_folders_and_twins_of_a_name_do_no_harm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the second a/1.jpg that we make here
        data = zipped([("a/", b""), ("a/1.jpg", b"1"), ("a/1.jpg", b"2"), ("__MACOSX/a/._1.jpg", b""), ("a/.DS_Store", b"")])
    archive = opened(data)
    assert archive.names == ["a/1.jpg", "a/1.jpg"]
    assert [archive.read(number) for number in range(2)] == [b"1", b"2"]


def test_utf_8_names_are_read_with_and_without_their_flag() -> None:
    data = zipped({"Äpfel/1.jpg": b"1"})
    unflagged = bytearray(data)
    for at in (6, data.index(b"PK\x01\x02") + 8):
        unflagged[at + 1] &= ~0x08
    assert opened(data).names == opened(bytes(unflagged)).names == ["Äpfel/1.jpg"]


# ---- a zip as a job ----------------------------------------------------------------------------------------------
@pytest.fixture
def send(recognizer: Recognizer, moderator: Any) -> Any:
    """`send(zip's bytes, accept=…)`: a job whose zip was sent whole."""

    def make(data: bytes, *, accept: bool = False) -> ImportJob:
        job = import_jobs.begin(user=moderator, kind="zip", recognizer="coins", new_name="", accept=accept, confirmed=True)
        size = django_settings.IMPORT_PIECE_BYTES
        for number, at in enumerate(range(0, len(data), size)):
            import_jobs.add_piece(job=job, number=number, data=data[at : at + size])
        assert import_jobs.close(job=job)
        return job

    return make


@pytest.fixture
def photos() -> dict[str, bytes]:
    """Six photos of two labels, with something that is none between them."""
    made = {f"{label}/{seed}.jpg": jpeg(seed, size=(96, 64)) for seed, label in enumerate(["gold"] * 3 + ["pear"] * 3)}
    return {**made, "notes/read.txt": b"not a photo", "gold/cut.jpg": jpeg(9)[:-300]}


def counts(job: ImportJob) -> tuple[Any, ...]:
    job.refresh_from_db()
    return job.state, job.total, job.done, job.new, job.known, job.accepted, job.refused


def pieces(job: ImportJob) -> list[str]:
    """What lies in the store of a job's zip."""
    return [found.key for found in store().list("imports", job.pk.hex)]


def test_a_zip_in_small_pieces_is_worked_through_and_removed(send: Any, photos: Any, settings: Any, recognizer: Any) -> None:
    settings.IMPORT_PIECE_BYTES, settings.IMPORT_STEP_FILES = 1000, 3
    job = send(zipped(photos), accept=True)
    assert len(pieces(job)) > 5 and str(job.pk) in import_steps.waiting()
    assert [import_steps.step(job_id=job.pk) for _ in range(4)] == [True, True, False, False]
    assert counts(job) == ("done", 8, 8, 6, 0, 6, 2)
    reasons = dict(job.refusals.values_list("name", "why"))
    assert set(reasons) == {"notes/read.txt", "gold/cut.jpg"} and "neither JPEG" in reasons["notes/read.txt"]
    assert Photo.objects.filter(state="accepted", decisions__moderator=job.user).count() == 6
    assert not recognizer.labels.filter(slug="notes").exists() and recognizer.labels.get(slug="pear").position == 3
    assert import_steps.untidy() == [str(job.pk)]
    import_steps.tidy(job_id=job.pk)
    assert pieces(job) == [] and import_steps.untidy() == []


def test_a_worker_that_is_killed_anywhere_leaves_no_twin_and_no_gap(send: Any, photos: Any, monkeypatch: Any) -> None:
    class Killed(BaseException):
        pass

    job, one, turns = send(zipped(photos)), import_steps.import_one, itertools.count(1)

    def dies(**options: Any) -> Any:
        turn = next(turns)
        if turn % 4 == 0:  # before the photo is taken in
            raise Killed
        outcome = one(**options)
        if turn % 4 == 2:  # after it, before the row knows
            raise Killed
        return outcome

    monkeypatch.setattr(import_steps, "import_one", dies)
    kills = 0
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while job.open:
            try:
                import_steps.step(job_id=job.pk)
            except Killed:
                kills += 1
                assert import_steps.waiting() == [] and import_steps.step(job_id=job.pk) is False  # leased to the dead
                clock.shift(django_settings.IMPORT_LEASE_S + 1)
            job.refresh_from_db()
    assert kills >= 4 and Photo.objects.count() == 6
    state, total, done, new, known, _, refused = counts(job)
    assert (state, total, done, new + known, refused) == ("done", 8, 8, 6, 2)
    assert job.refusals.count() == 2


def test_a_member_that_kills_its_workers_is_refused_in_the_end(send: Any, photos: Any, monkeypatch: Any) -> None:
    job, one = send(zipped(photos)), import_steps.import_one

    def dies(**options: Any) -> Any:
        if options["name"] == "gold/1.jpg":
            raise MemoryError
        return one(**options)

    monkeypatch.setattr(import_steps, "import_one", dies)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(django_settings.IMPORT_ATTEMPTS):
            with pytest.raises(MemoryError):
                import_steps.step(job_id=job.pk)
            clock.shift(django_settings.IMPORT_LEASE_S + 1)
        import_steps.step(job_id=job.pk)
    assert counts(job) == ("done", 8, 8, 5, 0, 0, 3)
    assert "did not end in 3 attempts" in job.refusals.get(name="gold/1.jpg").why


def test_a_worker_that_was_overtaken_writes_nothing(send: Any, photos: Any, settings: Any, monkeypatch: Any) -> None:
    settings.IMPORT_STEP_FILES = 2
    job, one = send(zipped(photos)), import_steps.import_one
    with time_machine.travel(timezone.now(), tick=False) as clock:

        def sleeps(**options: Any) -> Any:
            monkeypatch.setattr(import_steps, "import_one", one)
            clock.shift(settings.IMPORT_LEASE_S + 1)
            assert import_steps.step(job_id=job.pk) is True  # another worker takes this member and the next
            return one(**options)

        monkeypatch.setattr(import_steps, "import_one", sleeps)
        assert import_steps.step(job_id=job.pk) is False
    assert counts(job) == ("working", 8, 2, 2, 0, 0, 0)
    while import_steps.step(job_id=job.pk):
        pass
    assert counts(job) == ("done", 8, 8, 6, 0, 0, 2) and job.refusals.count() == 2


def test_a_stopped_zip_stops_at_the_next_member_and_its_bytes_go(send: Any, photos: Any, monkeypatch: Any) -> None:
    job, one = send(zipped(photos)), import_steps.import_one

    def stops(**options: Any) -> Any:
        import_jobs.stop(job=job)
        return one(**options)

    monkeypatch.setattr(import_steps, "import_one", stops)
    assert import_steps.step(job_id=job.pk) is False
    assert counts(job)[:3] == ("stopped", 8, 0) and Photo.objects.count() == 1
    assert import_steps.waiting() == [] and import_steps.step(job_id=job.pk) is False
    import_steps.tidy(job_id=job.pk)
    assert pieces(job) == []
    assert counts(job)[0] == "stopped"


def test_a_zip_that_cannot_be_read_fails_with_its_reason(send: Any) -> None:
    for data, words in ((jpeg(1), "not a zip"), (zipped({}), "holds no files"), (zipped({"a/1.jpg": b"1"})[:-30], "not a zip")):
        job = send(data)
        assert import_steps.step(job_id=job.pk) is False
        assert counts(job)[0] == "failed" and words in job.problem
    lost = send(zipped({"a/1.jpg": b"1"}))
    store().delete(key_of(lost.pk, 0))
    import_steps.step(job_id=lost.pk)
    assert counts(lost)[0] == "failed" and "gone" in lost.problem


def test_an_import_that_was_left_is_stopped_after_a_day_and_its_zip_removed(moderator: Any, recognizer: Any) -> None:
    begin = {"user": moderator, "recognizer": "coins", "new_name": "", "accept": False, "confirmed": True}
    with time_machine.travel(timezone.now(), tick=False) as clock:
        left, files = import_jobs.begin(kind="zip", **begin), import_jobs.begin(kind="files", **begin)
        import_jobs.add_piece(job=left, number=0, data=b"PK")
        clock.shift(django_settings.IMPORT_KEEP_S - 1)
        assert import_steps.untidy() == [] and len(pieces(left)) == 1
        clock.shift(2)
        assert len(import_steps.untidy()) == 2
        for job in (left, files):
            import_steps.tidy(job_id=job.pk)
            assert counts(job)[0] == "stopped" and "within a day" in job.problem
        assert pieces(left) == [] and import_steps.untidy() == []


def test_pieces_come_in_order_once_and_within_the_limit(moderator: Any, recognizer: Any, settings: Any) -> None:
    settings.IMPORT_PIECE_BYTES, settings.IMPORT_ZIP_MAX_BYTES = 10, 25
    begin = {"user": moderator, "kind": "zip", "recognizer": "coins", "new_name": "", "accept": False, "confirmed": True}
    job = import_jobs.begin(**begin)
    with pytest.raises(import_jobs.WrongPiece):
        import_jobs.add_piece(job=job, number=1, data=b"0123456789")
    import_jobs.add_piece(job=job, number=0, data=b"0123456789")
    import_jobs.add_piece(job=job, number=0, data=b"0123456789")  # the answer was lost
    import_jobs.add_piece(job=job, number=1, data=b"0123456789")
    with pytest.raises(import_jobs.ImportTooLarge):
        import_jobs.add_piece(job=job, number=2, data=b"0123456789")
    with pytest.raises(import_jobs.WrongPiece):
        import_jobs.add_piece(job=job, number=2, data=b"0123456789a")
    import_jobs.add_piece(job=job, number=2, data=b"0123")
    with pytest.raises(import_jobs.WrongPiece):  # the last one was short
        import_jobs.add_piece(job=job, number=3, data=b"4")
    job.refresh_from_db()
    with io.BufferedReader(Pieces(job.pk, job.zip_bytes)) as file:
        assert file.read() == b"01234567890123456789" + b"0123"
        assert file.seek(-5, io.SEEK_END) == 19 and file.read(3) == b"901"
    import_jobs.stop(job=job)
    with pytest.raises(import_jobs.ImportNotOpen):
        import_jobs.add_piece(job=job, number=3, data=b"4")
    with pytest.raises(import_jobs.ImportTooLarge):
        import_jobs.begin(**begin, size=26)


def test_an_import_begins_only_with_a_recognizer_and_the_right_to_give(moderator: Any, recognizer: Any) -> None:
    asked = {"user": moderator, "kind": "files", "recognizer": "", "new_name": "", "accept": False, "confirmed": True}
    with pytest.raises(import_jobs.NotConfirmed):
        import_jobs.begin(**{**asked, "confirmed": False, "recognizer": "coins"})
    for wrong in ({}, {"recognizer": "no"}, {"new_name": "!!!"}, {"new_name": "x" * 51}):
        with pytest.raises(import_jobs.NoRecognizer):
            import_jobs.begin(**{**asked, **wrong})
    assert import_jobs.begin(**{**asked, "new_name": " Coins "}).recognizer_name == "Coins"  # this one is there already
    job = import_jobs.begin(**{**asked, "new_name": "Fresh Fruit"})
    assert Recognizer.objects.count() == 1  # its first photo makes it
    import_jobs.take_file(job=job, name="pear/1.jpg", body=jpeg(1, size=(96, 64)))
    assert Recognizer.objects.get(slug="fresh-fruit").name == "Fresh Fruit"
    assert (job.user, job.licence) == (moderator, "CC-BY-4.0") and job.confirmed_at
    Recognizer.objects.filter(slug="coins").update(active=False)
    with pytest.raises(import_jobs.NoRecognizer, match="inactive"):
        import_jobs.begin(**{**asked, "recognizer": "coins"})


def test_memory_stays_flat_whatever_the_zip_holds(send: Any, settings: Any) -> None:
    """16 MB that do not compress, read in pieces of 256 KB."""
    settings.IMPORT_PIECE_BYTES = 2**18
    noise = random.Random(1).randbytes(2**20)
    job = send(zipped({f"gold/{number}.jpg": noise for number in range(16)}))
    tracemalloc.start()
    import_steps.step(job_id=job.pk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts(job)[:3] == ("done", 16, 16) and peak < 6 * 2**20


# ---- a split of one's own ----------------------------------------------------------------------------------------
def test_a_held_out_set_lies_where_its_owner_wants_it_and_the_next_photos_train(folder: Path, tmp_path_factory: Any) -> None:
    out, err = run(str(folder), recognizer="fruit", accept=True, split="test")
    assert "20 accepted now, 2 refused, 2 labels. 0 not in test." in out and "not in test" not in err
    assert set(Photo.objects.values_list("split", flat=True)) == {"test"}
    more = tmp_path_factory.mktemp("more") / "Pear"
    more.mkdir()
    for seed in range(300, 306):
        (more / f"{seed}.jpg").write_bytes(jpeg(seed, size=(96, 64)))
    run(str(more.parent), recognizer="fruit", accept=True)
    assert "test" not in Photo.objects.order_by("-received_at").values_list("split", flat=True)[:6]


def test_a_look_alike_of_a_training_photo_is_left_out_of_the_test_set_and_moves_nobody(tmp_path: Path) -> None:
    train, test = tmp_path / "a" / "Pear", tmp_path / "b" / "Pear"
    for made in (train, test):
        made.mkdir(parents=True)
    (train / "1.jpg").write_bytes(jpeg(1, size=(320, 240)))
    (test / "same.jpg").write_bytes((train / "1.jpg").read_bytes())
    (test / "smaller.jpg").write_bytes(jpeg(1, size=(160, 120)))
    (test / "other.jpg").write_bytes(jpeg(2, size=(320, 240)))
    with Image.open(train / "1.jpg") as image:
        image.resize((200, 150)).save(test / "smaller.jpg", quality=80)
    run(str(train.parent), recognizer="fruit", accept=True)
    out, err = run(str(test.parent), recognizer="fruit", accept=True, split="test")
    assert "1 known already" in out and "2 not in test" in out
    assert "Pear/same.jpg: it lies in train since it was first accepted" in err
    assert "Pear/smaller.jpg: left out: it looks like a photo of another split" in err
    assert Counter(Photo.objects.values_list("split", flat=True)) == {"train": 1, "none": 1, "test": 1}


def test_volunteers_look_alikes_follow_a_held_out_photo_or_are_left_out(live_photo: Any, recognizer: Recognizer) -> None:
    first = live_photo(seed=500)  # this volunteer's photos train
    plan = Plan("coins", "", accept=True, split="test")
    held = import_one(plan=plan, name="gold/1.jpg", body=jpeg(501))
    assert (first.split, held.split) == ("train", "test")
    assert live_photo(label="gold", seed=501).split == "none"


def test_a_rejected_photo_is_not_taken_into_a_held_out_set(recognizer: Recognizer, moderator: Any, tmp_path: Path) -> None:
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "1.jpg").write_bytes(jpeg(3, size=(96, 64)))
    run(str(tmp_path), recognizer="coins", accept=True)
    decide(photo_id=Photo.objects.get().pk, moderator=moderator, verdict="reject", reason="unclear")
    out, _ = run(str(tmp_path), recognizer="coins", accept=True, split="validation")
    assert "1 not in validation" in out and Photo.objects.get().state == "rejected"


def test_a_split_without_acceptance_is_refused(folder: Path) -> None:
    with pytest.raises(CommandError, match="Add --accept"):
        run(str(folder), recognizer="fruit", split="test")
    assert Photo.objects.count() == 0
