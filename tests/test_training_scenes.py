"""SNAPSHOT → FINE-TUNE: which photos a night chooses by, and that none of their scenes is learned from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.scenes import Division, divide

LABELS, SCENES, SHOTS = 4, 12, 5  # of each label so many scenes, of each scene so many photos


def shelves(noise: float = 0.05, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features [n, 32], truth [n], scene [n]): the photos of a scene point into nearly one direction."""
    rng = np.random.default_rng(seed)
    scene = np.repeat(np.arange(LABELS * SCENES), SHOTS)
    middle = rng.normal(size=(LABELS * SCENES, 32))
    return middle[scene] + noise * rng.normal(size=(len(scene), 32)), scene // SCENES, scene


def deal(fixed: np.ndarray, *, groups: list[str] | None = None, known: dict[str, bool] | None = None, **more) -> Division:
    features, truth, _ = shelves()
    names = [f"photo {row}" for row in range(len(truth))]
    facts = {"features": features, "truth": truth, "share": 0.1} | more
    return divide(ids=names, groups=groups or [f"c{row}" for row in range(len(truth))], fixed=fixed, known=known or {}, **facts)


def nobody() -> np.ndarray:
    return np.zeros(LABELS * SCENES * SHOTS, bool)


def whole(chosen_by: np.ndarray, scene: np.ndarray) -> bool:
    """Whether no scene is on both sides."""
    return all(len(set(chosen_by[scene == number])) == 1 for number in np.unique(scene))


def test_photos_of_one_scene_are_found_by_their_look():
    _, _, scene = shelves()
    found = deal(nobody()).scenes
    assert [len(set(found[scene == number])) for number in np.unique(scene)] == [1] * LABELS * SCENES
    assert len(set(found)) == LABELS * SCENES


def test_where_owners_left_none_to_choose_by_whole_scenes_are_set_aside():
    _, truth, scene = shelves()
    division = deal(nobody())
    assert 24 <= division.chosen_by.sum() <= 24 + SHOTS
    assert whole(division.chosen_by, scene)
    assert (np.bincount(truth[division.chosen_by], minlength=LABELS) <= SCENES * SHOTS / 2).all()
    assert "whole scenes at a time" in division.sentence


def test_imported_photos_that_were_dealt_one_by_one_are_dealt_anew_by_scene():
    _, _, scene = shelves()
    singly = np.arange(len(scene)) % SHOTS == 0
    division = deal(singly)
    assert whole(division.chosen_by, scene)
    assert singly.sum() <= division.chosen_by.sum() < singly.sum() + SHOTS
    assert division.sentence.startswith(f"Of {singly.sum()} photos to choose by, too many")


def test_a_split_that_parts_no_scene_stands():
    _, _, scene = shelves()
    fixed = np.isin(scene, [1, 15, 30, 40])
    division = deal(fixed)
    np.testing.assert_array_equal(division.chosen_by, fixed)
    assert division.sentence == ""


def test_a_photo_to_choose_by_is_learned_from_where_enough_others_are_left():
    _, _, scene = shelves()
    fixed = np.isin(scene, [1, 15, 30, 40, 41])
    fixed[np.flatnonzero(scene == 41)[:-1]] = False
    division = deal(fixed)
    assert not division.chosen_by[scene == 41].any()
    assert division.chosen_by.sum() == 4 * SHOTS


def test_what_volunteers_sent_stays_where_it_was_however_alike_it_looks():
    _, _, scene = shelves()
    fixed = np.arange(len(scene)) % SHOTS == 0
    groups = [f"volunteer{'A' if held else row}/c{row}" for row, held in enumerate(fixed)]
    division = deal(fixed, groups=groups)
    np.testing.assert_array_equal(division.chosen_by, fixed)
    assert len(set(division.scenes[fixed])) == 1, "one volunteer is one draw"


def test_a_photo_that_has_been_learned_never_judges_and_new_photos_go_with_their_scene():
    features, truth, scene = shelves()
    first = deal(nobody())
    known = {f"photo {row}": bool(side) for row, side in enumerate(first.chosen_by) if row % SHOTS}
    rng = np.random.default_rng(5)
    again = deal(rng.random(len(scene)) < 0.5, known=known, features=features[:, ::-1].copy(), truth=truth)
    np.testing.assert_array_equal(again.chosen_by, first.chosen_by)


def test_without_features_near_duplicates_alone_are_scenes():
    _, truth, _ = shelves()
    division = deal(nobody(), groups=[f"c{row // 2}" for row in range(len(truth))], features=np.empty((0, 8)))
    assert whole(division.chosen_by, np.arange(len(truth)) // 2)
    assert len(set(division.scenes)) == len(truth) / 2


def test_things_that_look_alike_everywhere_are_told_apart_by_looking_nearer():
    features, truth, _ = shelves(noise=0.01)
    division = deal(nobody(), features=features * 0.02 + 1)
    assert len(set(division.scenes)) > LABELS
    assert division.chosen_by.any()
    assert (np.bincount(truth[division.chosen_by], minlength=LABELS) <= SCENES * SHOTS / 2).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.05, 0.5))
def test_no_division_parts_a_scene_takes_more_than_half_of_a_label_or_forgets_what_is_known(seed, count, share):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    groups = [f"v{rng.integers(3)}/c{row}" if rng.random() < 0.3 else f"c{rng.integers(count)}" for row in range(count)]
    ids = [f"photo {row}" for row in range(count)]
    fixed = np.array(["/" in group and group[1] == "0" for group in groups]) | (rng.random(count) < 0.2)
    fixed &= np.array(["/" not in group or group[1] == "0" for group in groups])
    facts = {"ids": ids, "groups": groups, "truth": truth, "features": rng.normal(size=(count, 4)), "share": share}
    first = divide(**facts, fixed=fixed, known={})
    imported = np.array(["/" not in group for group in groups])
    np.testing.assert_array_equal(first.chosen_by[~imported], fixed[~imported])
    for number in np.unique(first.scenes[imported]):
        assert len(set(first.chosen_by[imported & (first.scenes == number)])) == 1
    known = {photo: bool(side) for photo, side in zip(ids, first.chosen_by, strict=True)}
    again = divide(**facts, fixed=rng.permutation(fixed) & imported | fixed & ~imported, known=known)
    np.testing.assert_array_equal(again.chosen_by, first.chosen_by)
