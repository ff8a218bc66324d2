"""The schema that app developers build on: valid, and complete."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from openapi_spec_validator import validate

# Pages for people; everything else is for programs and stands in the schema.
PAGES = re.compile(r"^/(admin/.*|newsletter/.*|fame/.*|static/.*)?$")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return generated


def routes(patterns: Any = None, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for entry in patterns or get_resolver().url_patterns:
        address = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, address)
        elif isinstance(entry, URLPattern):
            yield address, entry.callback


def test_the_schema_is_valid_openapi(schema: dict[str, Any]) -> None:
    validate_schema(schema)
    validate(schema)


def test_every_route_for_programs_and_each_of_its_methods_is_described(schema: dict[str, Any]) -> None:
    described = {address: set(operations) for address, operations in schema["paths"].items()}
    expected = {address: view for address, view in routes() if not PAGES.match(address)}
    assert set(expected) == set(described)
    for address, view in expected.items():
        methods = {m for m in ("get", "put", "post", "delete", "patch") if hasattr(view.cls, m)}
        assert methods <= described[address], address


def test_every_operation_says_what_it_does_and_how_it_fails(schema: dict[str, Any]) -> None:
    for address, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation.get("description"), (method, address)
            failures = [status for status in operation["responses"] if status.startswith("4")]
            needs = [] if method == "options" or (method == "get" and "{" not in address) else ["4"]
            assert failures or not needs, (method, address)
