"""EVALUATE, of the labels: flipped ones are found by models that have not seen them, kept fenced, and settled by a decision."""

import threading
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from collector.erasure import withdraw
from collector.moderation import decide
from collector.second_looks import wanted
from tests.nights import accepted, claimed
from training import runs, snapshot, suspects
from training.errors import FencedOff
from training.groups import linked
from training.models import Run, Suspect
from training.suspects import Suspicion, find, keep, open_suspects, out_of_fold

LABELS = ["copper", "silver", "gold"]


def photos(count: int = 240, labels: int = 4, *, flipped: int = 12, seed: int = 0) -> tuple[Any, Any, Any]:
    """(features, given labels, indices of the flipped): labels stand apart, some features are noise."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    features = rng.normal(0, 1, (count, 24)).astype(np.float32)
    features[:, :labels] += 5.0 * np.eye(labels)[truth]
    wrong = rng.choice(count, flipped, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + rng.integers(1, labels, flipped)) % labels
    return features, given, wrong


# ---- finding -----------------------------------------------------------------------------------------------------
def test_flipped_labels_are_suspected_with_what_they_show_the_most_doubtful_first() -> None:
    features, given, wrong = photos(600, flipped=30)
    found = find(features=features, truth=given, groups=[str(at) for at in range(600)], labels=4, seed=1)
    hits = [each for each in found if each.index in set(wrong.tolist())]
    assert len(hits) >= 21 and len(found) <= 2 * len(
        hits
    )  # the goals for real photos: 70 % of the flipped, 50 % of the suspects
    assert sum(each.suggested == each.index % 4 for each in hits) >= 0.9 * len(hits)
    assert [each.confidence for each in found] == sorted(each.confidence for each in found)
    assert all(0 <= each.confidence <= 1 and each.suggested != given[each.index] for each in found)


def test_the_same_seed_finds_the_same_and_inputs_stay_as_they_were() -> None:
    features, given, _ = photos()
    before = features.copy(), given.copy()
    ask = {"features": features, "truth": given, "groups": [str(at // 2) for at in range(240)], "labels": 4}
    assert find(**ask, seed=3) == find(**ask, seed=3)
    assert np.array_equal(before[0], features) and np.array_equal(before[1], given)


def test_a_group_never_judges_itself() -> None:
    """Each photo comes five times. Who has seen a copy under a wrong label believes it, who has not doubts all five."""
    features, given, wrong = photos(600, flipped=30, seed=1)
    features, given = np.repeat(features, 5, axis=0), np.repeat(given, 5)
    copies = {int(at) * 5 + copy for at in wrong for copy in range(5)}

    def caught(size: int) -> int:
        groups = [str(at // size) for at in range(len(given))]
        return len({each.index for each in find(features=features, truth=given, groups=groups, labels=4, seed=1)} & copies)

    assert caught(5) >= 135 and caught(1) <= 120


def test_volunteers_and_clusters_that_are_linked_share_a_fold() -> None:
    groups = ["ann/1", "ann/2", "ben/2", "ben/3", "3", "cy/4", "5"]
    components = linked(groups)
    assert len(set(components[:5])) == 1 and len(set(components)) == 3
    rng = np.random.default_rng(0)
    many = [f"v{rng.integers(60)}/c{rng.integers(900)}" for _ in range(80)] + [str(at) for at in range(200)]
    components = linked(many)
    folds = suspects._folds(rng.integers(0, 3, 280), components, 3, 5, seed=0)
    for name in ("volunteer", "cluster"):
        part = [group.rpartition("/")[0 if name == "volunteer" else 2] or group for group in many]
        assert all(len({folds[at] for at, each in enumerate(part) if each == one}) == 1 for one in set(part)), name
    assert max(np.bincount(folds)) <= 2 * min(np.bincount(folds))


def test_labels_of_three_photos_or_of_one_group_break_nothing_and_are_not_suspected_for_it() -> None:
    features, given, _ = photos(flipped=0)
    groups = [str(at) for at in range(240)]
    rare = np.full((4, 24), 6, np.float32) + np.random.default_rng(1).normal(0, 0.1, (4, 24)).astype(np.float32)
    features, given = np.concatenate([features, rare]), np.concatenate([given, [4, 4, 4, 5]])
    found = find(features=features, truth=given, groups=[*groups, "a", "b", "c", "lonely"], labels=7, seed=0)
    assert 243 not in {each.index for each in found}  # nobody else shows label 5: it cannot be judged
    together = find(features=features, truth=given, groups=[*groups, "a", "a", "a", "lonely"], labels=7, seed=0)
    assert not {240, 241, 242, 243} & {each.index for each in together}


@pytest.mark.parametrize(("count", "groups"), [(0, []), (1, ["a"]), (6, ["a"] * 6), (4, ["a", "a", "b", "b"])])
def test_where_nothing_can_be_told_nobody_is_suspected(count: int, groups: list[str]) -> None:
    features = np.zeros((count, 8), np.float32)
    assert find(features=features, truth=np.zeros(count, int), groups=groups, labels=3, seed=0) == []


def test_what_is_out_of_fold_is_a_probability() -> None:
    features, given, _ = photos()
    probabilities, judged = out_of_fold(features=features, truth=given, groups=[*map(str, range(240))], labels=4, seed=0)
    assert judged.all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5) and (probabilities >= 0).all()


# ---- rows --------------------------------------------------------------------------------------------------------
pytest_rows = pytest.mark.django_db


@pytest.fixture
def looked(recognizer: Any, volunteer: Any) -> Any:
    """Three accepted photos of copper, and a run that doubts all of them."""
    kept = [accepted(recognizer, volunteer, "copper", split, source="phone") for split in ("train", "validation", "test")]
    return kept, claimed(recognizer)


def write(run: Run, kept: list[Any], doubts: list[tuple[int, int, float]]) -> int:
    suspicions = [Suspicion(index, suggested, confidence) for index, suggested, confidence in doubts]
    return keep(run, [str(photo.pk) for photo in kept], suspicions, LABELS, np.zeros(len(kept), int))


ALL = [(0, 2, 0.02), (1, 2, 0.01), (2, 1, 0.03)]


@pytest_rows
def test_suspects_are_rows_and_a_later_attempt_replaces_them(looked: Any) -> None:
    kept, run = looked
    assert write(run, kept, ALL) == 3
    assert write(run, kept, ALL[:2]) == 2
    rows = Suspect.objects.filter(run=run).values_list("photo", "given__slug", "suggested__slug", "confidence")
    assert list(rows) == [(kept[1].pk, "copper", "gold", 0.01), (kept[0].pk, "copper", "gold", 0.02)]
    assert Run.objects.get(pk=run.pk).metrics["suspects"] == 2


@pytest_rows
def test_a_withdrawn_photo_is_no_suspect_before_or_after(looked: Any, volunteer: Any) -> None:
    kept, run = looked
    withdraw(photo_id=kept[0].pk, volunteer=volunteer)
    assert write(run, kept, ALL) == 2
    withdraw(photo_id=kept[1].pk, volunteer=volunteer)
    assert Suspect.objects.get().photo_id == kept[2].pk


@pytest_rows
def test_a_process_that_lost_its_run_writes_nothing(looked: Any) -> None:
    kept, run = looked
    write(run, kept, ALL[:1])
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(FencedOff):
        write(run, kept, ALL)
    assert Suspect.objects.count() == 1


@pytest_rows
def test_a_decision_settles_the_doubt_and_the_next_night_does_not_ask_again(
    looked: Any, recognizer: Any, moderator: Any
) -> None:
    kept, run = looked
    write(run, kept, ALL)
    assert [look.photo_id for look in wanted(recognizer=recognizer)] == [kept[1].pk, kept[0].pk, kept[2].pk]
    decide(photo_id=kept[1].pk, moderator=moderator, verdict="accept")  # kept as it is
    decide(photo_id=kept[2].pk, moderator=moderator, verdict="reject", reason="unclear")
    assert [row.photo_id for row in open_suspects(recognizer)] == [kept[0].pk]
    runs.finish(run, Run.State.KEPT, "For a test.")
    tomorrow = claimed(recognizer, "tomorrow")
    write(tomorrow, kept, [(0, 1, 0.2), (1, 2, 0.1)])  # the same doubt about 1, another suggestion for 0
    assert [(row.photo_id, row.suggested.slug) for row in open_suspects(recognizer)] == [(kept[0].pk, "silver")]
    decide(photo_id=kept[0].pk, moderator=moderator, verdict="relabel", label=recognizer.labels.get(slug="silver"))
    assert wanted(recognizer=recognizer) == []


@pytest_rows
def test_another_suggestion_is_asked_about_although_the_last_one_was_settled(
    looked: Any, recognizer: Any, moderator: Any
) -> None:
    kept, run = looked
    write(run, kept, ALL[:1])
    decide(photo_id=kept[0].pk, moderator=moderator, verdict="accept")
    runs.finish(run, Run.State.KEPT, "For a test.")
    write(claimed(recognizer, "tomorrow"), kept, [(0, 1, 0.2)])
    assert [row.suggested.slug for row in open_suspects(recognizer)] == ["silver"]


@pytest_rows
def test_only_the_newest_run_that_looked_counts_even_where_it_found_nothing(looked: Any, recognizer: Any) -> None:
    kept, run = looked
    write(run, kept, ALL)
    runs.finish(run, Run.State.KEPT, "For a test.")
    second = claimed(recognizer, "second")
    assert open_suspects(recognizer).count() == 3  # it has not looked yet
    write(second, kept, [])
    assert open_suspects(recognizer).count() == 0


@pytest_rows
def test_a_relabelled_photo_keeps_its_split_and_the_next_snapshot_has_the_new_label(
    looked: Any, recognizer: Any, moderator: Any
) -> None:
    kept, run = looked
    before = snapshot.take(recognizer=recognizer)
    write(run, kept, ALL)
    look = wanted(recognizer=recognizer)[0]
    from collector.second_looks import answer

    answer(look=look, moderator=moderator, what="relabel")
    after = snapshot.take(recognizer=recognizer)
    entry = next(entry for entry in snapshot.read(after) if entry.photo == str(look.photo_id))
    assert after.digest != before.digest and (entry.label, entry.split) == ("gold", "validation")


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_in_the_same_moment_leaves_no_suspect(looked: Any, volunteer: Any) -> None:
    from django.db import connection

    kept, run = looked
    start = threading.Barrier(2)

    def at_once(work: Any) -> None:
        start.wait()
        work()
        connection.close()

    jobs = (lambda: write(run, kept, ALL), lambda: withdraw(photo_id=kept[0].pk, volunteer=volunteer))
    threads = [threading.Thread(target=at_once, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not Suspect.objects.filter(photo=kept[0].pk).exists() and Suspect.objects.count() == 2
    assert run.started_at and run.started_at < timezone.now()
