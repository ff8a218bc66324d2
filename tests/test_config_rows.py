"""Single rows by hand-written conditions: what they give is what the ORM gives, on both databases."""

import time
import uuid
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from collector.models import Label, Photo, Recognizer, Volunteer
from config import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def label() -> Label:
    recognizer = Recognizer.objects.create(slug="coins", name="Coins", invited_only=True)
    return Label.objects.create(recognizer=recognizer, slug="copper", name="Copper", position=3)


def volunteer() -> Volunteer:
    return Volunteer.objects.create(token_hash=uuid.uuid4().hex, consent_version="1", consented_at=timezone.now())


def photo(label: Label, **more: Any) -> Photo:
    sent = {"sent_sha256": "a" * 64, "sha256": "b" * 64, "content_type": "image/jpeg", "bytes": 7, "width": 40, "height": 50}
    whose = {"volunteer": volunteer(), "recognizer": label.recognizer, "claimed": label}
    return Photo(id=uuid.uuid4(), consent_version="1", licence="CC-BY-4.0", taken_hour=timezone.now(), **sent, **whose, **more)


def columns(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_row_read_by_hand_equals_the_row_that_the_orm_reads(label: Label) -> None:
    made = volunteer()
    found = rows.first([Volunteer], "collector_volunteer WHERE id = %s", [rows.key(made.pk)])
    assert found is not None and columns(found[0]) == columns(Volunteer.objects.get())


def test_rows_of_two_tables_come_apart_again(label: Label) -> None:
    source = "collector_label JOIN collector_recognizer ON collector_recognizer.id = collector_label.recognizer_id"
    found = rows.first([Recognizer, Label], f"{source} WHERE collector_label.slug = %s", ["copper"])
    assert found is not None
    assert [columns(row) for row in found] == [columns(label.recognizer), columns(label)]
    assert rows.first([Recognizer, Label], f"{source} WHERE collector_label.slug = %s", ["gold"]) is None


def test_a_value_is_never_read_as_sql(label: Label) -> None:
    hostile = "copper' OR '1'='1"
    assert rows.first([Label], "collector_label WHERE slug = %s", [hostile]) is None
    assert not rows.exists("collector_label WHERE slug = %s", [hostile])
    assert rows.exists("collector_label WHERE slug = %s", ["copper"])


def test_a_row_written_by_hand_equals_the_row_that_the_orm_writes(label: Label) -> None:
    one, other = photo(label), photo(label)
    rows.insert(one)
    other.save(force_insert=True)
    assert not one._state.adding
    for made in (one, other):
        assert columns(Photo.objects.get(pk=made.pk)) == columns(made)


def test_a_key_that_is_taken_is_refused(label: Label) -> None:
    made = photo(label)
    rows.insert(made)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.insert(Photo(**columns(made)))
    assert Photo.objects.count() == 1


def test_statements_that_run_together_say_each_what_it_found(label: Label) -> None:
    named = "SELECT name FROM collector_label WHERE recognizer_id = %s ORDER BY position"
    pk = label.recognizer_id
    found = rows.together(
        [
            (named, [pk]),
            ("UPDATE collector_label SET name = %s WHERE recognizer_id = %s", ["100 % copper; -- '", pk]),
            ("UPDATE collector_label SET name = %s WHERE id = %s", ["nobody", 0]),
            (named, [pk]),
        ]
    )
    assert found == [(1, [("Copper",)]), (1, []), (0, []), (1, [("100 % copper; -- '",)])]


@pytest.mark.django_db(transaction=True)
def test_of_statements_that_run_together_none_stays_where_one_fails(label: Label) -> None:
    with pytest.raises(IntegrityError):
        rows.together(
            [
                ("UPDATE collector_label SET name = %s WHERE id = %s", ["tin", label.pk]),
                ("UPDATE collector_label SET slug = NULL WHERE id = %s", [label.pk]),
            ]
        )
    label.refresh_from_db()
    assert label.name == "Copper"


@pytest.mark.django_db(transaction=True)
def test_of_statements_that_run_together_all_count_or_none(label: Label) -> None:
    named, called = "UPDATE collector_label SET name = %s WHERE id = %s", []
    with pytest.raises(DatabaseError):
        rows.together([(named, ["Gold", label.pk]), ("UPDATE collector_label SET nothing = %s", [1])])
    label.refresh_from_db()
    assert label.name == "Copper" and not connection.in_atomic_block
    (found,) = rows.together([(named, ["Gold", label.pk])], lambda: called.append(1))
    label.refresh_from_db()
    assert found.number == 1 and label.name == "Gold" and called == [1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite answers before anything else can be done")
def test_postgresql_commits_while_something_else_is_done(label: Label) -> None:
    seen: list[str] = []

    def look() -> None:
        """As somebody else, who sees only what is committed."""
        with psycopg.connect(connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"]) as other:
            for _ in range(1000):
                (name,) = other.execute("SELECT name FROM collector_label").fetchone()
                seen.append(name)
                other.rollback()
                if name == "Gold":
                    return
                time.sleep(0.01)

    rows.together([("UPDATE collector_label SET name = %s WHERE id = %s", ["Gold", label.pk])], look)
    assert seen[-1] == "Gold"
