"""Where a request comes from: never where its sender says."""

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from collector.addresses import client_address, network


def asked(forwarded: str | None = None, connected: str = "192.0.2.1") -> str:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=connected, **headers))


def test_without_trusted_proxies_the_header_is_never_read(settings):
    settings.TRUSTED_PROXIES = 0
    assert asked("203.0.113.9") == asked("203.0.113.9, 198.51.100.1") == asked() == "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the client wrote the first one
        (2, "6.6.6.6, 203.0.113.9, 198.51.100.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),  # it did not pass both proxies: nobody we trust wrote this
        (1, None, "192.0.2.1"),
        (1, "6.6.6.6, unknown", "192.0.2.1"),
        (1, "6.6.6.6,", "192.0.2.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:DB8::1]:4711", "2001:db8::1"),
        (1, "2001:db8:0::1", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_what_the_outermost_trusted_proxy_saw(proxies, forwarded, address, settings):
    settings.TRUSTED_PROXIES = proxies
    assert asked(forwarded) == address


def test_a_unix_socket_has_no_address_and_its_proxy_tells_it(settings):
    settings.TRUSTED_PROXIES = 1
    assert asked("203.0.113.9", connected="") == "203.0.113.9"
    assert asked(None, connected="") == ""
    settings.TRUSTED_PROXIES = 0
    assert asked("203.0.113.9", connected="") == ""


@given(forged=st.text(max_size=60), proxies=st.integers(1, 3))
def test_whatever_a_client_writes_it_neither_fails_nor_chooses(forged, proxies):
    """The client's part stands left of what the proxies append, commas and all."""
    from django.test import override_settings

    appended = ["203.0.113.9", "198.51.100.1", "198.51.100.2"][:proxies]
    with override_settings(TRUSTED_PROXIES=proxies):
        assert asked(", ".join([forged, *appended])) == "203.0.113.9"
        assert network(asked(forged)) in {"192.0.2.1", network(asked(forged))}  # alone it is at least readable


def test_what_is_counted_together():
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("2001:db8::1") == network("2001:db8::2:1") != network("2001:db8:0:1::1")
    assert network("") == ""
