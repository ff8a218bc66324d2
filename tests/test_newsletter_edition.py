"""EDITION: composed once, frozen, and never showing what was taken back."""

import threading
from datetime import date, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.utils import timezone

from collector.challenges import propose
from collector.erasure import erase, withdraw
from collector.models import Photo
from collector.moderation import decide
from collector.volunteers import register
from newsletter import mail
from newsletter.delivery import progress
from newsletter.edition import compose, freeze
from newsletter.errors import EditionTooLong, NotADraft, NothingToShow
from newsletter.models import Delivery, Edition, EditionEntry, Subscriber, Vote
from newsletter.reading import fingerprint, read
from training.models import Artifact, Channel, Fix, PhotoValue, Release, Run

pytestmark = pytest.mark.django_db


def today() -> date:
    return timezone.now().date()


def person(handle: str):
    return register(consent=True, handle=handle, address="192.0.2.9")[0]


def subscriber(recognizer, email: str, state: str = "confirmed") -> Subscriber:
    return Subscriber.objects.create(recognizer=recognizer, email=email, state=state)


@pytest.fixture
def draft(recognizer, live_photo) -> Edition:
    """An edition of two photos, the second one liked best."""
    photos = [live_photo(), live_photo("gold")]
    for number in range(3):
        voter = person(f"Voter {number}")
        Vote.objects.create(volunteer=voter, photo=photos[1], like=True)
        Vote.objects.create(volunteer=voter, photo=photos[0], like=False)
    return compose(recognizer=recognizer, day=today())


def test_the_best_photos_are_printed_in_order_with_words_and_score_parts(draft, volunteer) -> None:
    first, second = draft.entries.all()
    assert (first.position, first.caption, first.credit, first.alt) == (1, "Gold", "Ada", "Gold, photographed by Ada")
    assert first.view_sha256 == first.photo.view_sha256
    assert first.scores["likes"] == 3 and second.scores["passes"] == 3
    assert first.scores["score"] > second.scores["score"]
    assert draft.number == 1 and draft.state == "draft" and draft.title.startswith("Coins: the best finds of ")
    assert draft.introduction == (
        "1 volunteer sent 2 photos on this day, and 2 were accepted. These are the photos that you liked best."
    )


def test_a_second_call_returns_the_same_edition_and_changes_nothing(recognizer, draft, live_photo) -> None:
    live_photo("silver")
    again = compose(recognizer=recognizer, day=today())
    assert again.pk == draft.pk and again.entries.count() == 2
    assert Edition.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_composers_at_once_make_one_edition(recognizer, live_photo) -> None:
    live_photo()
    start, made = threading.Barrier(8), []

    def work() -> None:
        try:
            start.wait()
            made.append(compose(recognizer=recognizer, day=today()).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1
    assert EditionEntry.objects.count() == 1


def test_an_edition_without_photos_is_not_made_and_says_why(recognizer, live_photo) -> None:
    live_photo(state="pending")
    with pytest.raises(NothingToShow, match="review queue"):
        compose(recognizer=recognizer, day=today())
    assert not Edition.objects.exists()
    with pytest.raises(CommandError, match="no photo to print"):
        call_command("edition", recognizer="coins")


def test_a_photo_is_printed_once_and_so_are_its_near_duplicates(recognizer, draft, live_photo) -> None:
    printed = draft.entries.first().photo
    copy, fresh = live_photo(), live_photo("silver")
    Photo.objects.filter(pk=copy.pk).update(cluster=printed.cluster or printed.pk)
    following = compose(recognizer=recognizer, day=today() + timedelta(days=1))
    assert [entry.photo_id for entry in following.entries.all()] == [fresh.pk]
    assert following.number == 2


def test_photos_older_than_the_window_or_accepted_after_the_day_are_not_printed(recognizer, live_photo, settings) -> None:
    old, late, fits = live_photo(), live_photo(), live_photo()
    Photo.objects.filter(pk=old.pk).update(accepted_at=timezone.now() - timedelta(days=settings.EDITION_WINDOW_DAYS + 1))
    Photo.objects.filter(pk=late.pk).update(accepted_at=timezone.now() + timedelta(days=1))
    assert [entry.photo_id for entry in compose(recognizer=recognizer, day=today()).entries.all()] == [fits.pk]


def test_an_edition_holds_at_most_its_number_of_photos(recognizer, live_photo, settings) -> None:
    settings.EDITION_ENTRIES = 2
    for _ in range(3):
        live_photo()
    assert compose(recognizer=recognizer, day=today()).entries.count() == 2


def test_it_freezes_what_the_model_learned_the_challenges_and_the_leaderboard(recognizer, live_photo, volunteer) -> None:
    photo = live_photo()
    labels = [recognizer.labels.first()]
    for day, prompt in ((today(), "Find copper in dim light."), (today() + timedelta(days=1), "Find copper upside down.")):
        propose(recognizer=recognizer, day=day, labels=labels, setting="anywhere", prompt=prompt, because="")
    metrics = {"int8": {"accuracy": 0.93}, "incumbent": {"accuracy": 0.9}, "held_out": 60}
    run = Run.objects.create(recognizer=recognizer, slot="night", state="released", metrics=metrics)
    PhotoValue.objects.create(run=run, photo=photo, value=0.003)
    release = Release.objects.create(recognizer=recognizer, version=2, run=run)
    Channel.objects.create(recognizer=recognizer, name="stable", release=release)
    content = compose(recognizer=recognizer, day=today()).content
    assert content["model"] == {"version": 2, "accuracy": 0.93, "before": 0.9, "held_out": 60}
    assert content["challenge"]["prompt"] == "Find copper in dim light."
    assert content["next_challenge"]["prompt"] == "Find copper upside down."
    assert content["leaderboard"] == [{"place": 1, "volunteer": str(volunteer.pk), "photos": 1, "points": 4}]
    Run.objects.update(metrics={})
    assert read(edition=Edition.objects.get()).model["accuracy"] == 0.93


def test_an_entry_says_which_mistake_its_photo_mended_until_it_is_withdrawn(recognizer, live_photo, volunteer) -> None:
    photo, held = live_photo("gold"), live_photo("gold", by=person("Grace"))
    Photo.objects.filter(pk=held.pk).update(split="test")
    run = Run.objects.create(recognizer=recognizer, slot="night", state="released")
    Release.objects.create(recognizer=recognizer, version=2, run=run)
    copper = recognizer.labels.get(slug="copper")
    Fix.objects.create(run=run, mistake=held, photo=photo, before=copper, nearness=0.9)
    entries = {entry.photo_id: entry for entry in compose(recognizer=recognizer, day=today()).entries.all()}
    words = "It helped version 2 recognise Gold in a photo that the one before took for Copper."
    assert (entries[photo.pk].mended, entries[held.pk].mended) == (words, "")
    freeze(edition=Edition.objects.get())
    page = Client().get("/newsletter/coins/1/").content.decode()
    assert page.count(words) == 1
    mailing = mail.prepare(edition=Edition.objects.get())
    assert mailing.text.count(words) == 1 and mailing.html.count(words) == 1
    Fix.objects.all().delete()  # frozen: it stays printed
    assert EditionEntry.objects.get(photo=photo).mended == words
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert EditionEntry.objects.get(photo=photo).mended == ""


def test_todays_challenge_is_there_without_a_night_and_tomorrows_waits_for_one(recognizer, live_photo) -> None:
    live_photo()
    content = compose(recognizer=recognizer, day=today()).content
    assert content["challenge"]["prompt"].startswith("Find ") and content["next_challenge"] is None


def test_a_rolled_back_release_claims_no_progress(recognizer, live_photo) -> None:
    live_photo()
    run = Run.objects.create(
        recognizer=recognizer, slot="night", metrics={"int8": {"accuracy": 0.9}, "incumbent": {"accuracy": 0.8}, "held_out": 60}
    )
    old = Release.objects.create(recognizer=recognizer, version=1, run=run)
    back = Release.objects.create(recognizer=recognizer, version=3, run=run, rolls_back_to=old)
    Channel.objects.create(recognizer=recognizer, name="stable", release=back)
    assert compose(recognizer=recognizer, day=today()).content["model"]["before"] is None
    assert not Artifact.objects.exists()


def test_freezing_makes_a_delivery_for_each_confirmed_subscriber_of_this_recognizer_once(recognizer, draft) -> None:
    for number, state in enumerate(("confirmed", "confirmed", "pending", "left", "suppressed")):
        subscriber(recognizer, f"reader{number}@example.org", state)
    other = type(recognizer).objects.create(slug="other", name="Other")
    subscriber(other, "elsewhere@example.org")
    assert freeze(edition=draft) == 2
    assert draft.state == "frozen" and draft.frozen_at is not None
    assert sorted(Delivery.objects.values_list("subscriber__email", flat=True)) == [
        "reader0@example.org",
        "reader1@example.org",
    ]
    with pytest.raises(NotADraft):
        freeze(edition=draft)
    assert progress(edition=draft)["total"] == 2


def test_a_withdrawn_or_rejected_photo_is_no_longer_shown_and_the_receipt_names_the_edition(draft, volunteer) -> None:
    freeze(edition=draft)
    before = fingerprint(edition=draft)
    first, second = draft.entries.all()
    receipt = withdraw(photo_id=first.photo_id, volunteer=volunteer).receipt
    assert receipt["editions"] == [str(draft)]
    reading = read(edition=draft)
    assert [entry.pk for entry in reading.entries] == [second.pk] and reading.gone == 1
    first.refresh_from_db()
    assert "Ada" not in first.alt + first.credit + first.caption
    assert fingerprint(edition=draft) != before
    decide(photo_id=second.photo_id, moderator=None, verdict="reject", reason="person")
    assert read(edition=draft).entries == []


def test_a_draft_is_not_named_in_a_receipt_and_without_photos_it_cannot_be_frozen(draft, volunteer) -> None:
    subscriber(draft.recognizer, "reader@example.org")
    assert "editions" not in erase(volunteer=volunteer).receipt
    with pytest.raises(NothingToShow):
        freeze(edition=draft)
    draft.refresh_from_db()
    assert draft.state == "draft" and not Delivery.objects.exists()


def test_an_erased_volunteer_leaves_no_name_in_a_frozen_edition(draft, volunteer) -> None:
    freeze(edition=draft)
    assert [line["name"] for line in read(edition=draft).leaderboard] == ["Ada"]
    erase(volunteer=volunteer)
    draft.refresh_from_db()
    assert read(edition=draft).leaderboard == []
    assert "Ada" not in str(draft.content) + draft.introduction + str(list(draft.entries.values()))


def test_an_edition_whose_mail_would_be_cut_off_is_not_frozen(draft) -> None:
    draft.introduction = "word " * 30_000
    draft.save()
    with pytest.raises(EditionTooLong):
        freeze(edition=draft)
    draft.refresh_from_db()
    assert draft.state == "draft"


def test_hostile_words_are_made_harmless_before_they_are_frozen(recognizer, live_photo) -> None:
    type(recognizer).objects.update(name="Co\u202eins\r\nBcc: all@example.org" + "x" * 20)
    live_photo()
    recognizer.refresh_from_db()
    title = compose(recognizer=recognizer, day=today()).title
    assert "\u202e" not in title and "\n" not in title and "\r" not in title and len(title) <= 120


def test_the_command_composes_sends_and_says_so_in_numbers(recognizer, live_photo, settings, tmp_path, capsys) -> None:
    settings.EMAIL_URL = f"file://{tmp_path}"
    live_photo()
    subscriber(recognizer, "reader@example.org")
    call_command("edition", recognizer="coins")
    assert "1 photos, draft" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    call_command("edition", recognizer="coins", send=True)
    out = capsys.readouterr().out
    assert "Frozen for 1 confirmed subscribers." in out and "Sent. Deliveries: 1 sent, 1 total." in out
    assert [path.name for path in tmp_path.iterdir()] == [f"{Delivery.objects.get().pk}.eml"]
    call_command("edition", recognizer="coins", send=True)
    assert "1 sent" in capsys.readouterr().out and len(list(tmp_path.iterdir())) == 1


def test_the_command_refuses_an_unknown_recognizer_by_naming_the_known_ones(recognizer) -> None:
    with pytest.raises(CommandError, match="There are: coins"):
        call_command("edition", recognizer="notes")


def test_the_day_is_counted_in_utc(recognizer, live_photo) -> None:
    with time_machine.travel("2026-11-22T23:59:00Z", tick=False):
        live_photo()
    with time_machine.travel("2026-11-23T00:01:00Z", tick=False):
        live_photo("gold")
    assert compose(recognizer=recognizer, day=date(2026, 11, 22)).entries.count() == 1


@pytest.mark.django_db
def test_the_command_pauses_resumes_and_cancels_what_is_being_sent(recognizer, live_photo, capsys) -> None:
    live_photo()
    for name in ("a", "b"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{name}@example.org", state="confirmed")
    with pytest.raises(CommandError, match="has no daily edition"):
        call_command("edition", recognizer="coins", pause=True)
    freeze(edition=compose(recognizer=recognizer, day=timezone.now().date()))
    for step, says in (("pause", "2 queued"), ("resume", "2 queued"), ("cancel", "2 cancelled")):
        call_command("edition", recognizer="coins", **{step: True})
        assert says in capsys.readouterr().out
    with pytest.raises(CommandError, match="not at that point"):
        call_command("edition", recognizer="coins", resume=True)
