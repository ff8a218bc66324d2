"""Single rows by hand-written conditions, for what every upload and every mail asks: composing such a query anew takes Django
longer than any database needs to answer it (0.4 ms of CPU against 0.05, measured with SQLite).

Everywhere else the ORM is the way. The statements are standard SQL that both databases read; values are always parameters.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.db import connection, transaction
from django.db.models import Model

Converter = Callable[[Any, Any, Any], Any]
Statement = tuple[str, Sequence[Any]]  # with %s for each of the values


class Found(NamedTuple):
    """How many rows a statement touched or found, and the rows if it asked for some."""

    number: int
    rows: list[tuple[Any, ...]]


def first(models: Sequence[type[Model]], source: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """One row of each of `models`, or None. `source` is what follows FROM: the models' tables under their own names, the
    conditions with %s for each of `values`."""
    statement, parts = _reading(tuple(models), connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} {source} LIMIT 1", values)
        found = cursor.fetchone()
    if found is None:
        return None
    row, instances, start = list(found), [], 0
    for model, names, converted in parts:
        for place, column, converters in converted:
            for convert in converters:
                row[start + place] = convert(row[start + place], column, connection)
        instances.append(model.from_db(connection.alias, names, row[start : start + len(names)]))
        start += len(names)
    return tuple(instances)


def exists(source: str, values: Sequence[Any]) -> bool:
    """Whether there is such a row; `source` as in `first`."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {source} LIMIT 1", values)  # noqa: S608  conditions are ours, values are parameters
        return cursor.fetchone() is not None


def insert(row: Model) -> None:
    """INSERT one whole new row whose key is known. Raises IntegrityError. Sends no signals: nobody listens to these."""
    statement, fields = _writing(type(row))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
    row._state.adding, row._state.db = False, connection.alias


def together(statements: Sequence[Statement], meanwhile: Callable[[], object] = lambda: None) -> list[Found]:
    """Run them in one transaction, the next after the one before, and say what each found.

    To PostgreSQL they travel in one go, and are prepared: there and back takes longer than any of them, and so does planning.
    `meanwhile` is called while it works, and commits; or after them where there is nobody to wait for. It must not raise.
    """
    if connection.vendor != "postgresql":
        with transaction.atomic():
            found = [_run(*statement) for statement in statements]
        meanwhile()
        return found
    connection.ensure_connection()
    psql = connection.connection
    # By words and not by the pipeline's end, which would also end the transaction: it would only then begin to be committed.
    first, last = ([], []) if connection.in_atomic_block else ([("BEGIN", ())], [("COMMIT", ())])
    try:
        with connection.wrap_database_errors, psql.pipeline():
            # Not Django's cursor, which puts the values into the text: no plan would fit the next ones.
            cursors = [psycopg.Cursor(psql).execute(*statement) for statement in [*first, *statements, *last]]
            meanwhile()
    finally:
        if first and psql.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            psql.rollback()  # a statement that failed kept the last word from being heard
    # `rownumber` is None where no rows were asked for. So is `description`, but to make it takes as long as the statement.
    return [_found(cursor, cursor.rownumber is not None) for cursor in cursors[len(first) : len(first) + len(statements)]]


def key(value: UUID) -> Any:
    """A UUID as this database's driver takes it."""
    return value if connection.features.has_native_uuid_field else value.hex


def _run(text: str, values: Sequence[Any]) -> Found:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return _found(cursor, cursor.description is not None)


def _found(cursor: Any, asked: bool) -> Found:
    rows = cursor.fetchall() if asked else []
    return Found(len(rows) if asked else cursor.rowcount, rows)


@cache
def _reading(models: tuple[type[Model], ...], vendor: str) -> tuple[str, list[tuple[type[Model], list[str], list[Any]]]]:
    quote = connection.ops.quote_name
    columns, parts = [], []
    for model in models:
        table, fields = model._meta.db_table, model._meta.concrete_fields
        columns += [f"{quote(table)}.{quote(str(field.column))}" for field in fields]
        converted = []
        for place, field in enumerate(fields):
            column = field.get_col(table)
            if converters := connection.ops.get_db_converters(column) + column.get_db_converters(connection):
                converted.append((place, column, converters))
        parts.append((model, [field.attname for field in fields], converted))
    return f"SELECT {', '.join(columns)} FROM", parts


@cache
def _writing(model: type[Model]) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})", fields  # noqa: S608  our own names
