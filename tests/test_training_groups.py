"""SNAPSHOT: whom a group names, and what links photos to one another."""

from training.groups import cluster, linked, volunteer


def test_a_phones_group_names_its_volunteer_and_an_import_has_none():
    assert (volunteer("ann/7"), cluster("ann/7")) == ("ann", "7")
    assert (volunteer("7"), cluster("7")) == (None, "7")


def test_photos_are_linked_by_volunteers_clusters_and_further_pairs_over_others():
    groups = ["ann/1", "ann/2", "ben/2", "3", "4", "5"]
    assert len(set(linked(groups))) == 4
    found = linked(groups, [(3, 4), (4, 2)])
    assert len(set(found[:5])) == 1
    assert found[5] not in found[:5]
