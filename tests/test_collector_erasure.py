"""Taking back: what a row still knows, what cannot come back, who is still named, and what the receipt says later."""

import hashlib
import random
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from collector import intake
from collector.develop import develop
from collector.erasure import ERASED, SHELL, erase, replay_tombstones, withdraw
from collector.errors import PhotoErased, VolunteerGone
from collector.importing import Folder, Plan, import_photos
from collector.intake import receive
from collector.models import Allowance, Decision, Erasure, Photo, Recognizer, StoreDebt, Tombstone, Volunteer
from collector.moderation import decide
from collector.objects import discard
from collector.storage import store
from collector.volunteers import register
from config.duties import work_once
from newsletter import edition as editions
from newsletter.errors import NothingToShow
from newsletter.models import Edition, Vote
from newsletter.votes import cast
from tests.drawing import SECRET, jpeg, png, webp
from tests.nights import accepted, claimed, collected, exported, released
from training import release, runs, snapshot
from training.errors import EmptySnapshot
from training.models import Run

pytestmark = pytest.mark.django_db
PUT = "/api/v1/photos/{}?recognizer=coins&label=copper"


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


def grace() -> Volunteer:
    return register(consent=True, handle="Grace", address="192.0.2.2")[0]


def take_in(recognizer: Recognizer, volunteer: Volunteer, body: bytes, photo_id: uuid.UUID | None = None) -> Photo:
    photo, _ = receive(
        photo_id=photo_id or uuid.uuid4(),
        volunteer=volunteer,
        recognizer=recognizer,
        label=recognizer.labels.first(),
        challenge=None,
        body=body,
    )
    return photo


def pictures(settings: Any) -> list[Path]:
    return [path for path in settings.STORE_DIR.rglob("*") if path.is_file() and "tombstones" not in path.parts]


# ---- what is kept of a photo at all ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "kind"),
    [(jpeg(1, orientation=6), "image/jpeg"), (jpeg(2, progressive=True), "image/jpeg"), (png(3), "image/png"),
     (png(4, alpha=True), "image/png"), (webp(5), "image/webp"), (webp(6, lossless=True), "image/webp")],
)  # fmt: skip
def test_of_a_photo_only_the_allowed_facts_are_kept(
    api: APIClient, recognizer: Recognizer, volunteer: Volunteer, settings: Any, body: bytes, kind: str
) -> None:
    photo_id = uuid.uuid4()
    assert api.put(PUT.format(photo_id), data=body, content_type=kind).status_code == 201
    develop(photo_id=photo_id)
    row = Photo.objects.filter(pk=photo_id).values().get()
    stated = {
        "id": photo_id,
        "volunteer_id": volunteer.pk,
        "recognizer_id": recognizer.pk,
        "challenge_id": None,
        "claimed_id": recognizer.labels.get(slug="copper").pk,
        "label_id": None,
        "source": "phone",
        "state": "pending",
        "content_type": kind,
        "device_model": "Phone 7",
        "consent_version": settings.CONSENT_VERSION,
        "licence": settings.PHOTO_LICENCE,
        "attempts": 1,
        "lease_until": None,
        "problem": "",
        "split": "",
        "accepted_at": None,
    }
    derived = {"sent_sha256", "sha256", "view_sha256", "thumbnail_sha256", "bytes", "width", "height", "orientation", "cluster"}
    derived |= {"phash_0", "phash_1", "phash_2", "phash_3", "fingerprint_id", "received_at", "taken_hour"}
    assert {name: row[name] for name in stated} == stated
    assert set(row) - set(stated) == derived, "a new column needs a reason in docs/consent.md"
    assert (row["taken_hour"].minute, row["taken_hour"].second) == (0, 0)
    assert SECRET not in str(row)
    stored = [path.read_bytes() for path in settings.STORE_DIR.rglob("*") if path.is_file()]
    assert len(stored) == 3
    for data in stored:
        assert SECRET.encode() not in data and b"Phone 7" not in data and b"2026:11:20" not in data
        assert b"Exif\x00" not in data and b"ICC_PROFILE" not in data and b"xmp" not in data.lower()


# ---- the shell ---------------------------------------------------------------------------------------------------
def test_a_withdrawn_photo_is_an_empty_shell_with_its_decisions(
    live_photo: Any, volunteer: Volunteer, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    photo = live_photo()
    before = Photo.objects.filter(pk=photo.pk).values().get()
    assert before["device_model"] and before["taken_hour"] and before["phash_0"] is not None and len(pictures(settings)) == 3
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=photo.pk, volunteer=volunteer)
    after = Photo.objects.filter(pk=photo.pk).values().get()
    cleared = {{"challenge": "challenge_id", "label": "label_id"}.get(name, name): value for name, value in SHELL.items()}
    assert {name: after[name] for name in cleared} == cleared
    kept = {"id", "recognizer_id", "claimed_id", "split", "consent_version", "received_at", "accepted_at", "volunteer_id"}
    kept |= {"licence", "source", "attempts"}
    forgotten = {"cluster", "fingerprint_id", "phash_0", "phash_1", "phash_2", "phash_3"}  # by duplicates.forget
    assert {after[name] for name in forgotten} == {None}
    assert set(after) == kept | set(cleared) | forgotten
    assert all(after[name] == before[name] for name in kept)
    assert [decision.verdict for decision in photo.decisions.all()] == ["accept"]
    assert pictures(settings) == [] and not StoreDebt.objects.exists()


def test_withdrawing_twice_gives_a_receipt_over_nothing(live_photo: Any, volunteer: Volunteer, api: APIClient) -> None:
    photo = live_photo()
    assert withdraw(photo_id=photo.pk, volunteer=volunteer).photos == 1
    again = api.delete(f"/api/v1/photos/{photo.pk}").json()
    assert again["photos"] == 0 and again["releases"] == []
    assert api.get(f"/api/v1/photos/{photo.pk}").json()["state"] == "withdrawn"
    assert api.put(PUT.format(photo.pk), data=jpeg(1), content_type="image/jpeg").json()["type"] == "urn:photorally:photo-gone"


def test_the_kin_of_a_withdrawn_photo_keep_their_split(live_photo: Any, volunteer: Volunteer) -> None:
    first, second = live_photo(seed=1), live_photo(seed=2)
    withdraw(photo_id=first.pk, volunteer=volunteer)
    assert live_photo(seed=3).split == second.split
    twin = live_photo(seed=2, state="pending", by=grace())
    decide(photo_id=twin.pk, moderator=None, verdict="accept")
    twin.refresh_from_db()
    assert twin.split == second.split and twin.cluster == second.cluster


# ---- the bytes do not come back ----------------------------------------------------------------------------------
def test_withdrawn_bytes_are_not_taken_again_from_anybody_by_any_way(
    api: APIClient,
    recognizer: Recognizer,
    volunteer: Volunteer,
    settings: Any,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    other, body = grace(), jpeg(7)
    photo = take_in(recognizer, volunteer, body)
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=photo.pk, volunteer=volunteer)
    refused = api.put(PUT.format(uuid.uuid4()), data=body, content_type="image/jpeg")
    assert refused.status_code == 410 and refused.json()["type"] == "urn:photorally:photo-erased"
    assert "Take a new one" in refused.json()["detail"]
    with pytest.raises(PhotoErased):
        take_in(recognizer, other, body)
    folder = tmp_path / "photos" / "copper"
    folder.mkdir(parents=True)
    (folder / "old.jpg").write_bytes(body)
    result = import_photos(source=Folder(folder.parent), plan=Plan("coins", "Coins", accept=True))
    assert result.new == 0 and [name for name, _ in result.refused] == ["copper/old.jpg"]
    assert pictures(settings) == [] and Photo.objects.count() == 1


def test_another_volunteers_living_photo_of_the_same_bytes_stays(
    recognizer: Recognizer, volunteer: Volunteer, django_capture_on_commit_callbacks: Any
) -> None:
    other, body, theirs = grace(), jpeg(7), uuid.uuid4()
    mine = take_in(recognizer, volunteer, body)
    take_in(recognizer, other, body, theirs)
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=mine.pk, volunteer=volunteer)
    kept = take_in(recognizer, other, body, theirs)  # a retry still finds it
    assert kept.state == "received" and store().size(f"originals/{kept.sha256}")


def test_a_rival_that_commits_between_look_and_delete_keeps_its_bytes(
    recognizer: Recognizer, volunteer: Volunteer, monkeypatch: Any
) -> None:
    photo = take_in(recognizer, volunteer, jpeg(7))
    key, row = f"originals/{photo.sha256}", Photo.objects.filter(pk=photo.pk).values().get()
    Photo.objects.all().delete()
    objects = store()
    really = objects.delete

    def rival_commits(name: str) -> None:
        Photo.objects.create(**row)
        really(name)

    monkeypatch.setattr(objects, "delete", rival_commits)
    assert discard(key) is False
    assert objects.size(key) == photo.bytes


def test_an_upload_whose_bytes_are_removed_before_its_row_stores_them_again(
    recognizer: Recognizer, volunteer: Volunteer, monkeypatch: Any
) -> None:
    really = intake.spend

    def erased_in_between(*limits: Any) -> None:
        really(*limits)
        for item in list(store().list("originals", hashlib.sha256(intake.strip(jpeg(7)).data).hexdigest()[:2])):
            assert discard(item.key) is True

    monkeypatch.setattr(intake, "spend", erased_in_between)
    photo = take_in(recognizer, volunteer, jpeg(7))
    assert store().size(f"originals/{photo.sha256}") == photo.bytes


def test_pictures_removed_while_their_twin_is_developed_are_stored_again(live_photo: Any, monkeypatch: Any) -> None:
    photo = live_photo(state="received")
    from collector import develop as developing

    really = developing.cluster_of

    def erased_in_between(of: Photo, bands: Any) -> Any:
        for path in (store().root / "views").rglob("*"):  # type: ignore[attr-defined]
            if path.is_file():
                path.unlink()
        return really(of, bands)

    monkeypatch.setattr(developing, "cluster_of", erased_in_between)
    develop(photo_id=photo.pk)
    photo.refresh_from_db()
    assert store().size(f"views/{photo.view_sha256}")


def test_a_process_that_dies_after_the_commit_leaves_the_removal_to_a_worker(
    live_photo: Any, volunteer: Volunteer, settings: Any
) -> None:
    photo = live_photo()
    withdraw(photo_id=photo.pk, volunteer=volunteer)  # its transaction is the test's: nothing that follows a commit runs
    assert len(pictures(settings)) == 3 and StoreDebt.objects.count() == 5
    work_once()
    assert pictures(settings) == [] and not StoreDebt.objects.exists()
    assert len(list((settings.STORE_DIR / "tombstones").rglob("?" * 64))) == 2


def test_a_store_that_is_away_does_not_lose_the_removal(
    live_photo: Any, volunteer: Volunteer, settings: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    photo = live_photo()

    def away(key: str) -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(store(), "delete", away)
        with django_capture_on_commit_callbacks(execute=True):
            withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert len(pictures(settings)) == 3
    work_once()
    assert pictures(settings) == []


def test_tombstones_are_replayed_over_an_older_database(
    recognizer: Recognizer, volunteer: Volunteer, django_capture_on_commit_callbacks: Any
) -> None:
    leaver = grace()
    body = jpeg(7)
    mine, theirs = take_in(recognizer, volunteer, body), take_in(recognizer, leaver, jpeg(8))
    twin = take_in(recognizer, register(consent=True, handle=None, address="192.0.2.3")[0], body)
    people, photos = list(Volunteer.objects.all()), list(Photo.objects.all())
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=mine.pk, volunteer=volunteer)
        erase(volunteer=leaver)
    # The backup: every row as it was, and nothing that came later.
    Tombstone.objects.all().delete()
    Erasure.objects.all().delete()
    Photo.objects.all().delete()
    Volunteer.objects.all().delete()
    Volunteer.objects.bulk_create(people)
    Photo.objects.bulk_create(photos)
    assert replay_tombstones() == (1, 1)
    assert dict(Photo.objects.values_list("pk", "state")) == {
        mine.pk: "withdrawn",
        theirs.pk: "withdrawn",
        twin.pk: "received",
    }
    assert not Volunteer.objects.filter(pk=leaver.pk).exists() and Volunteer.objects.filter(pk=volunteer.pk).exists()
    with pytest.raises(PhotoErased):
        take_in(recognizer, volunteer, body)
    assert replay_tombstones() == (0, 0)


# ---- an account --------------------------------------------------------------------------------------------------
def test_after_erasure_no_row_names_the_volunteer(
    live_photo: Any, api: APIClient, volunteer: Volunteer, recognizer: Recognizer, moderator: Any
) -> None:
    other = grace()
    photo, liked = live_photo(), live_photo(by=other)
    cast(volunteer=volunteer, photo_id=liked.pk, like=True)
    cast(volunteer=other, photo_id=photo.pk, like=True)
    printed = editions.compose(recognizer=recognizer, day=timezone.now().date())
    assert str(volunteer.pk) in str(printed.content)
    withdraw(photo_id=live_photo(state="received").pk, volunteer=volunteer)
    token_hash = volunteer.token_hash

    receipt = api.delete("/api/v1/volunteers/me").json()

    assert receipt["photos"] == 1
    names = {str(volunteer.pk), volunteer.pk.hex, "Ada", token_hash}
    for model in apps.get_models():
        for row in model._default_manager.values():
            found = [name for name in names if name in str(row)]
            assert not found, (model, row)
    shell = Photo.objects.get(pk=photo.pk)
    assert shell.volunteer_id == ERASED and shell.state == "withdrawn"
    assert [(row.verdict, row.moderator_id) for row in shell.decisions.all()] == [("accept", None)]
    assert Decision.objects.get(photo=liked).moderator == moderator  # of the others everything stays
    assert Vote.objects.count() == 0 and not Allowance.objects.filter(subject__contains=str(volunteer.pk)).exists()
    assert list(Erasure.objects.values_list("volunteer", flat=True)) == [None, None]
    assert Edition.objects.get().content["leaderboard"] != []


def test_the_shells_of_two_erased_accounts_belong_to_one_row(live_photo: Any, volunteer: Volunteer) -> None:
    other = grace()
    live_photo(), live_photo(by=other)
    erase(volunteer=volunteer), erase(volunteer=other)
    assert set(Photo.objects.values_list("volunteer", flat=True)) == {ERASED}
    assert Volunteer.objects.count() == 1 and Volunteer.objects.get().erased_at


def test_erasing_twice_is_401_by_token_and_by_race(api: APIClient, volunteer: Volunteer) -> None:
    assert api.delete("/api/v1/volunteers/me").status_code == 200
    assert api.delete("/api/v1/volunteers/me").status_code == 401
    with pytest.raises(VolunteerGone):
        erase(volunteer=volunteer)
    assert Erasure.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_is_overtaken_by_the_erasure_stores_nothing(
    api: APIClient, recognizer: Recognizer, volunteer: Volunteer, settings: Any, monkeypatch: Any
) -> None:
    really = intake.strip

    def erased_meanwhile(body: bytes) -> Any:
        erase(volunteer=volunteer)
        return really(body)

    monkeypatch.setattr(intake, "strip", erased_meanwhile)
    answer = api.put(PUT.format(uuid.uuid4()), data=jpeg(1), content_type="image/jpeg")
    assert answer.status_code == 401 and answer.json()["type"] == "urn:photorally:volunteer-gone"
    assert Photo.objects.count() == 0 and pictures(settings) == []


@pytest.mark.django_db(transaction=True)
def test_of_uploads_and_votes_that_race_with_the_erasure_none_lives(
    recognizer: Recognizer, registered: Any, settings: Any
) -> None:
    volunteer, token = registered
    target = accepted(recognizer, grace(), "gold")
    start, answers = threading.Barrier(4), set[int]()

    def upload(seed: int) -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        start.wait()
        for number in range(4):
            body = jpeg(10 * seed + number, size=(64, 64))
            answers.add(client.put(PUT.format(uuid.uuid4()), data=body, content_type="image/jpeg").status_code)
            answers.add(client.post(f"/api/v1/photos/{target.pk}/vote", {"like": True}, format="json").status_code)
        connection.close()

    threads = [threading.Thread(target=upload, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    start.wait()
    erase(volunteer=volunteer)
    for thread in threads:
        thread.join()
    work_once()
    assert answers <= {200, 201, 401, 404}
    assert not Photo.objects.filter(volunteer=volunteer.pk).exists()
    assert set(Photo.objects.exclude(pk=target.pk).values_list("state", flat=True)) <= {"withdrawn"}
    assert Vote.objects.count() == 0
    assert not [path for path in pictures(settings) if "originals" in path.parts]


# ---- nights and editions leave them out --------------------------------------------------------------------------
def test_the_next_snapshot_and_edition_leave_it_out(recognizer: Recognizer, live_photo: Any, volunteer: Volunteer) -> None:
    gone, stays = live_photo(), live_photo()
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    entries = snapshot.read(snapshot.take(recognizer=recognizer))
    assert [entry.photo for entry in entries] == [str(stays.pk)]
    printed = editions.compose(recognizer=recognizer, day=timezone.now().date())
    assert [entry.photo_id for entry in printed.entries.all()] == [stays.pk]
    erase(volunteer=volunteer)
    with pytest.raises(EmptySnapshot):
        snapshot.take(recognizer=recognizer)
    Edition.objects.all().delete()
    with pytest.raises(NothingToShow):
        editions.compose(recognizer=recognizer, day=timezone.now().date())


def test_a_photo_withdrawn_while_a_snapshot_is_taken_is_not_in_it(
    recognizer: Recognizer, volunteer: Volunteer, monkeypatch: Any
) -> None:
    photos = collected(recognizer, volunteer)
    really, left = snapshot.as_lines, photos[:2]

    def withdrawn_meanwhile(entries: Any) -> bytes:
        if left:
            withdraw(photo_id=left.pop().pk, volunteer=volunteer)
        return really(entries)

    monkeypatch.setattr(snapshot, "as_lines", withdrawn_meanwhile)
    taken = snapshot.take(recognizer=recognizer)
    assert {entry.photo for entry in snapshot.read(taken)} == {str(photo.pk) for photo in photos[2:]}


# ---- the receipt, later ------------------------------------------------------------------------------------------
def learned(recognizer: Recognizer, data: bytes) -> release.Release:
    made = released(recognizer, data)
    Run.objects.filter(pk=made.run_id).update(snapshot=snapshot.take(recognizer=recognizer))
    return made


def test_the_receipt_says_when_the_last_model_that_learned_has_left(
    recognizer: Recognizer, volunteer: Volunteer, api: APIClient
) -> None:
    photos = collected(recognizer, volunteer)
    first = learned(recognizer, b"first")
    second = learned(recognizer, b"second")
    answer = api.delete(f"/api/v1/photos/{photos[0].pk}").json()
    address, anybody = f"/api/v1/erasures/{answer['id']}", APIClient()
    assert answer["receipt"]["releases"] == ["coins v1", "coins v2"]
    assert answer["receipt"]["runs"] == [f"coins {first.run.slot}", f"coins {second.run.slot}"]
    assert answer["receipt"]["snapshots"] == [snapshot.Snapshot.objects.get().digest]
    left = {row["name"]: row["left_at"] for row in answer["releases"]}
    assert left["coins v1"] and left["coins v2"] is None and answer["model_free_at"] is None
    assert anybody.get(address).json() == answer

    third = learned(recognizer, b"third")  # a night without the photo
    free = anybody.get(address).json()
    second.refresh_from_db()
    assert free["releases"][1]["left_at"] and free["model_free_at"] == free["releases"][1]["left_at"]
    assert anybody.get(address).json() == free

    release.rollback(recognizer=recognizer)  # the old files come back under a new version
    back = anybody.get(address).json()
    assert [row["name"] for row in back["releases"]] == ["coins v1", "coins v2", "coins v4"]
    assert back["releases"][2]["left_at"] is None and back["model_free_at"] is None
    for row in release.Release.objects.exclude(pk=third.pk).order_by("version"):
        release.withdraw(release=row)
    gone = anybody.get(address).json()
    assert gone["model_free_at"] and {row["state"] for row in gone["releases"][:3]} == {"withdrawn"}


def test_a_release_below_a_ramp_is_still_offered(recognizer: Recognizer, volunteer: Volunteer, api: APIClient) -> None:
    photos = collected(recognizer, volunteer)
    learned(recognizer, b"first")
    release.ramp(recognizer=recognizer, percent=100)
    receipt = withdraw(photo_id=photos[0].pk, volunteer=volunteer)
    learned(recognizer, b"second")
    release.ramp(recognizer=recognizer, percent=10)
    address = f"/api/v1/erasures/{receipt.pk}"
    assert api.get(address).json()["model_free_at"] is None
    release.ramp(recognizer=recognizer, percent=100)
    assert api.get(address).json()["model_free_at"] is not None


def test_a_night_that_was_under_way_is_in_the_receipt_when_it_releases(
    recognizer: Recognizer, volunteer: Volunteer, api: APIClient
) -> None:
    photos = collected(recognizer, volunteer)
    night = claimed(recognizer)
    runs.write(night, snapshot=snapshot.take(recognizer=recognizer))
    answer = api.delete(f"/api/v1/photos/{photos[0].pk}").json()
    assert answer["releases"] == [] and answer["receipt"]["runs"] == [f"coins {night.slot}"]
    assert answer["model_free_at"] is None
    release.publish(run=night, artifacts=[exported(b"model")], replaces=None, message="")
    later = api.get(f"/api/v1/erasures/{answer['id']}").json()
    assert later["receipt"]["releases"] == ["coins v1"] and later["model_free_at"] is None


def test_a_photo_that_nothing_learned_from_is_free_at_once_and_an_unknown_receipt_is_404(
    live_photo: Any, api: APIClient
) -> None:
    answer = api.delete(f"/api/v1/photos/{live_photo(state='pending').pk}").json()
    assert answer["model_free_at"] == answer["requested_at"]
    assert answer["receipt"] == {"snapshots": [], "runs": [], "releases": []}
    unknown = APIClient().get(f"/api/v1/erasures/{uuid.uuid4()}")
    assert unknown.status_code == 404 and unknown.json()["type"] == "urn:photorally:unknown-erasure"


def test_an_account_of_more_photos_than_a_statement_carries_is_erased(
    recognizer: Recognizer, volunteer: Volunteer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("collector.erasure.BATCH", 4)
    collected(recognizer, volunteer)
    learned(recognizer, b"model")
    receipt = erase(volunteer=volunteer)
    assert receipt.photos == 30 and receipt.receipt["releases"] == ["coins v1"] and len(receipt.receipt["snapshots"]) == 1
    assert set(Photo.objects.values_list("state", flat=True)) == {"withdrawn"}


def test_rows_tell_which_snapshots_hold_a_photo_as_their_files_do(
    recognizer: Recognizer, live_photo: Any, time_machine: Any
) -> None:
    rng = random.Random(3)
    photos = [live_photo(state="pending") for _ in range(5)]
    moment = timezone.now()
    for _ in range(40):
        moment += timedelta(hours=1)
        time_machine.move_to(moment, tick=False)
        photo = rng.choice(photos)
        verdict, reason = rng.choice([("accept", ""), ("accept", ""), ("reject", "unclear")])
        decide(photo_id=photo.pk, moderator=None, verdict=verdict, reason=reason)
        time_machine.move_to(moment + timedelta(minutes=30), tick=False)
        if Photo.objects.filter(state="accepted").exists():
            snapshot.take(recognizer=recognizer)
    taken = list(snapshot.Snapshot.objects.order_by("taken_at", "pk"))
    held = {each.digest: {entry.photo for entry in snapshot.read(each)} for each in taken}
    assert len(held) > 8
    for photo in photos:
        assert snapshot.containing([photo.pk]) == [digest for digest in held if str(photo.pk) in held[digest]]
