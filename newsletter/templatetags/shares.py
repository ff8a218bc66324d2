"""INBOX: shares as people read them."""

from django import template

register = template.Library()


@register.filter
def percent(share: float) -> str:
    """0.8765 → "87.7 %"; the blank does not break."""
    return f"{100 * share:.1f}\u00a0%"
