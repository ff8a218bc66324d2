"""INBOX: where a page finds a volunteer's picture."""

from django import template

from config import addresses

register = template.Library()


@register.filter
def media(sha256: str) -> str:
    """The address of a public picture, on the host that serves them."""
    return addresses.media(sha256)
