"""SNAPSHOT → FINE-TUNE: nobody fills a night, nobody is starved, and which photos stay does not change with every photo."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from training.caps import Capped, capped, cluster_of, volunteer_of


@dataclass(frozen=True)
class Row:
    photo: str
    label: str
    group: str


def sent(volunteer: str, photos: int, labels: int = 3, start: int = 0) -> list[Row]:
    """Each photo a cluster of its own; the labels in turn."""
    names = [f"{volunteer} {number}" for number in range(start, start + photos)]
    prefix = f"{volunteer}/" if volunteer else ""
    return [Row(name, f"label {number % labels}", f"{prefix}{name}") for number, name in enumerate(names)]


def crowd(volunteers: int, each: int) -> list[Row]:
    return [row for number in range(volunteers) for row in sent(f"v{number}", each)]


def cut(rows: list[Row], *, volunteer: int = 1, cluster: int = 5, floor: int = 0) -> Capped[Row]:
    return capped(rows, volunteer_percent=volunteer, cluster_percent=cluster, floor=floor)


def owned(rows: list[Row]) -> Counter[str | None]:
    return Counter(volunteer_of(row) for row in rows)


def test_one_of_many_volunteers_keeps_one_percent_of_what_stays():
    rows = [*crowd(250, 10), *sent("loud", 500)]
    found = cut(rows)
    assert owned(found.kept)["loud"] == 25 and len(found.kept) == 2525  # 25 of 2,525 is the most that is ≤ 1 %
    assert (found.left_out, found.cut_volunteers, found.cut_clusters) == (475, 1, 0)
    assert found.sentence() == "2525 of 3000 training photos were learned from: caps cut 1 volunteer to 25 photos."


def test_a_scene_keeps_five_percent_whoever_sent_it_and_whether_it_was_imported():
    for scene in (
        [Row(f"s{n}", "label 0", "scene") for n in range(400)],
        [Row(f"s{n}", "label 0", f"v{n}/scene") for n in range(400)],
    ):
        found = cut([*crowd(200, 5), *scene])
        assert Counter(map(cluster_of, found.kept))["scene"] == 52  # of 1,052
        assert found.cut_clusters == 1


def test_an_owners_import_is_not_capped_as_if_it_were_a_volunteer():
    rows = [*sent("", 3000), *crowd(5, 20)]
    assert cut(rows).kept == rows


def test_equal_volunteers_lose_nothing_however_few_they_are():
    for volunteers in (1, 2, 20, 99):
        assert cut(crowd(volunteers, 40)).left_out == 0


def test_among_few_volunteers_the_loud_one_is_cut_to_what_the_middle_one_has():
    found = cut([*crowd(20, 50), *sent("loud", 5000)])
    assert owned(found.kept)["loud"] == 50


def test_a_small_beginning_is_not_cut():
    rows = [*sent("founder", 900), *crowd(5, 10)]
    assert cut(rows, floor=1000).kept == rows
    assert len(cut(rows, floor=500).kept) == 500


def test_a_volunteer_keeps_photos_of_all_its_labels():
    loud = [Row(f"a{n}", "common", f"loud/a{n}") for n in range(400)] + [Row(f"b{n}", "rare", f"loud/b{n}") for n in range(5)]
    kept = [row for row in cut([*crowd(200, 10), *loud]).kept if volunteer_of(row) == "loud"]
    assert Counter(row.label for row in kept) == {"common": 15, "rare": 5}


def test_one_more_photo_replaces_at_most_one_other():
    rows, loud = crowd(250, 10), sent("loud", 300)
    before = {row.photo for row in cut([*rows, *loud]).kept}
    for extra in sent("loud", 12, start=1000):
        after = {row.photo for row in cut([*rows, *loud, extra]).kept}
        assert len(before - after) <= 1 and after - before <= {extra.photo}


def test_a_photo_that_goes_makes_room_for_one_and_leaves_the_others():
    rows, loud = crowd(250, 10), sent("loud", 300)
    kept = [row for row in cut([*rows, *loud]).kept if volunteer_of(row) == "loud"]
    without = cut([*rows, *(row for row in loud if row != kept[0])]).kept
    assert len({row.photo for row in kept} - {row.photo for row in without}) == 1


ROWS = st.lists(
    st.builds(
        lambda number, volunteer, cluster, label: Row(
            f"p{number}", f"label {label}", f"v{volunteer}/c{cluster}" if volunteer else f"c{cluster}"
        ),
        st.integers(0, 10**6),
        st.integers(0, 6),
        st.integers(0, 8),
        st.integers(0, 3),
    ),
    unique_by=lambda row: row.photo,
    max_size=120,
)
PERCENT, FLOOR = st.integers(1, 100), st.integers(0, 60)


@given(ROWS, PERCENT, PERCENT, FLOOR)
def test_whatever_was_sent_the_caps_hold_the_floor_stays_and_again_changes_nothing(
    rows: list[Row], volunteer: int, cluster: int, floor: int
):
    found = cut(rows, volunteer=volunteer, cluster=cluster, floor=floor)
    assert len(found.kept) >= min(len(rows), floor)
    assert len(found.kept) + found.left_out == len(rows)
    assert [row for row in rows if row in found.kept] == found.kept  # in order
    people = Counter(name for row in found.kept if (name := volunteer_of(row)))
    if people and found.volunteer_cap is not None:
        assert max(people.values()) <= found.volunteer_cap
    scenes = Counter(map(cluster_of, found.kept))
    if scenes and found.cluster_cap is not None:
        assert max(scenes.values()) <= found.cluster_cap
    assert cut(found.kept, volunteer=volunteer, cluster=cluster, floor=floor).kept == found.kept


@given(ROWS, PERCENT, PERCENT, FLOOR, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_nothing(rows, volunteer, cluster, floor, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (cut(some, volunteer=volunteer, cluster=cluster, floor=floor) for some in (rows, shuffled))
    assert {row.photo for row in one.kept} == {row.photo for row in other.kept}


@given(ROWS)
def test_a_full_share_cuts_nobody(rows: list[Row]):
    assert cut(rows, volunteer=100, cluster=100).kept == rows
