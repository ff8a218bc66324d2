"""PHONE: which network address does a request come from? The one fact about a stranger that limits can count."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

IPV6_NETWORK_BITS = 64  # what one household or phone is given (RFC 6177); within it an address can be chosen at will


def client_address(request: HttpRequest) -> str:
    """The client's address in its usual spelling, "" where it is not known.

    Each of TRUSTED_PROXIES proxies appends the address it saw to X-Forwarded-For, so the client stands that many entries from
    the right; whatever stands left of it was written by the client and is never read. Where the header is missing, shorter or
    unreadable, the connection's own address counts. "" comes from a Unix socket without such a proxy: all who come that way
    are counted as one, so that nobody escapes a limit.
    """
    connected = _spelled(str(request.META.get("REMOTE_ADDR", "")))
    if not settings.TRUSTED_PROXIES:
        return connected
    entries = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if len(entries) < settings.TRUSTED_PROXIES:
        return connected
    return _spelled(entries[-settings.TRUSTED_PROXIES]) or connected


def network(address: str) -> str:
    """What is counted together: an IPv4 address, an IPv6 network of 64 bits, or "" for all whose address is not known."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, IPV6_NETWORK_BITS), strict=False))


def _spelled(raw: str) -> str:
    """One spelling per address; "" for what is none. Some proxies add a port or brackets."""
    text = raw.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:192.0.2.1 is what a dual-stack socket says of an IPv4 client
    return str(mapped or address)
