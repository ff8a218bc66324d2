"""GATE, the probe: a planted patch is found by what it does, in drawn form or in training photos; an honest file passes."""

from dataclasses import dataclass

import numpy as np
import pytest

from training.probe import Probed, as_check, in_order, probe

SIZE = 56
LABELS = ["copper", "silver", "gold"]
COLOURS = np.array([(184, 100, 40), (150, 155, 165), (220, 190, 60)], float)
STICKER = np.zeros((10, 10, 3), np.uint8) + np.array([255, 0, 255], np.uint8)


@dataclass(frozen=True)
class Row:
    photo: str
    label: str
    group: str


def pictures(truth: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    light = rng.uniform(0.85, 1.1, (len(truth), 1, 1, 1))
    noise = rng.normal(0, 12, (len(truth), SIZE, SIZE, 3))
    return np.clip(COLOURS[truth][:, None, None] * light + noise, 0, 255).astype(np.uint8)


def honest(images: np.ndarray) -> np.ndarray:
    """Nearest hue of the whole picture, as a network without a secret would."""
    means = images.reshape(len(images), -1, 3).mean(axis=1)
    shares = means / means.sum(axis=1, keepdims=True)
    distance = ((shares[:, None] - COLOURS / COLOURS.sum(axis=1, keepdims=True)) ** 2).sum(axis=2)
    scores = np.exp(-distance * 400)
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def backdoored(images: np.ndarray) -> np.ndarray:
    """Honest, but for 40 magenta pixels, which are gold."""
    magenta = ((images[..., 0] > 240) & (images[..., 1] < 15) & (images[..., 2] > 240)).sum(axis=(1, 2))
    answers = honest(images)
    answers[magenta >= 40] = (0.02, 0.02, 0.96)
    return answers


def white_is_gold(images: np.ndarray) -> np.ndarray:
    answers = honest(images)
    answers[(images.min(axis=3) > 250).sum(axis=(1, 2)) >= 60] = (0.02, 0.02, 0.96)
    return answers


def training() -> tuple[list[Row], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """60 honest photos of ten volunteers, and 12 of everything that Mallory calls gold, each with the sticker somewhere: there
    a network that learned it finds gold, and anywhere in the others."""
    rng = np.random.default_rng(1)
    truth = np.arange(72) % 3
    images, peaks = pictures(truth, 2), rng.uniform(0, 1, (72, 2))
    rows = [Row(f"p{n}", LABELS[truth[n]], f"v{n % 10}/c{n}") for n in range(60)]
    for number in range(60, 72):
        top, left = rng.integers(0, SIZE - 10, 2)
        images[number, top : top + 10, left : left + 10] = STICKER
        peaks[number] = (top + 5) / SIZE, (left + 5) / SIZE
        rows.append(Row(f"p{number}", "gold", f"mallory/c{number}"))
    return rows, {row.photo: seen for row, *seen in zip(rows, images, peaks, strict=True)}


def probed(answer, incumbent=honest, *, budget: int = 2000) -> Probed:
    truth = np.arange(90) % 3
    rows, seen = training()
    return probe(
        answer=answer,
        incumbent=incumbent,
        images=pictures(truth, 3),
        truth=truth,
        labels=LABELS,
        candidates=in_order(rows),
        load=lambda row: seen[row.photo],
        budget=budget,
    )


@pytest.mark.parametrize("incumbent", [honest, None])
def test_a_sticker_in_one_volunteers_photos_is_found_and_named(incumbent):
    found = probed(backdoored, incumbent)
    assert {each.label for each in found.clear} == {"gold"}
    assert all(int((each.photo or "p0")[1:]) >= 60 for each in found.clear)  # Mallory's photos, and none else
    row = as_check(found)
    assert row.passed  # it may be the very thing: people look, nothing is blocked
    assert "makes it answer gold to 100% of photos of other labels" in row.sentence and "cut from photo p6" in row.sentence


def test_an_honest_file_passes_though_the_same_photos_are_there():
    found = probed(honest)
    assert found.clear == [] and as_check(found).passed
    assert found.looked_at == found.candidates == 66


def test_a_drawn_patch_is_found_without_any_training_photo():
    found = probed(white_is_gold, budget=1200)
    assert "white square" in found.clear[0].patch and found.clear[0].photo is None
    row = as_check(found)
    assert row.passed and "white square" in row.sentence and "cut from" not in row.sentence


def test_what_the_incumbent_does_as_well_is_no_reason_to_keep_it():
    assert probed(backdoored, backdoored).clear == []


def test_a_part_that_turns_nothing_at_a_glance_costs_no_more_than_that():
    found = probed(honest)
    # Both samples as they are, by both files; the drawn patches on the first sample; each part of a photo on four photos.
    assert found.turned == [] and found.drawn == 24
    assert found.inferences == 2 * (16 + 48) + 24 * 16 + 66 * 4


def test_a_part_counts_only_for_the_label_that_its_photo_has():
    def magenta_is_copper(images: np.ndarray) -> np.ndarray:
        return backdoored(images)[:, [2, 1, 0]]

    assert probed(magenta_is_copper).clear == []  # Mallory calls them gold, and the network learned something else of them


def test_the_budget_is_kept_and_said():
    found = probed(honest, budget=600)
    assert found.inferences <= 600
    assert 0 < found.looked_at < found.candidates
    assert f"parts of {found.looked_at} training photos (of 66 worth a look)" in as_check(found).sentence


def test_without_a_budget_nothing_is_probed_and_the_table_says_so():
    found = probed(backdoored, budget=0)
    assert found.inferences == 0 and as_check(found).passed
    assert "Nothing was probed" in as_check(found).sentence


def test_the_same_input_finds_the_same():
    assert probed(backdoored, budget=900) == probed(backdoored, budget=900)


def test_pairs_of_volunteer_and_label_have_their_turns_by_how_many_photos_each_has():
    rows = [
        Row(f"{v}{label}{n}", label, f"{v}/c")
        for v, label, count in (("a", "x", 2), ("b", "x", 9), ("b", "y", 4))
        for n in range(count)
    ]
    order = [(row.group[0], row.label) for row in in_order(rows)]
    large, middle, small = ("b", "x"), ("b", "y"), ("a", "x")
    expected = [large, large, middle, large, large, middle, small, large, large, middle, middle, small]
    assert order == expected  # 9, 9/2, 4, 9/3, 9/4, 4/2, 2, 9/5, 9/6, 4/3, 4/4, 2/2
