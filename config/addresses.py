"""Absolute addresses of this installation: its pages, and volunteers' pictures on a host that may be another."""

from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

MEDIA_PATH = "/media/"


def absolute(name: str, *args: object) -> str:
    """The address of a page or call, for mails and feeds."""
    return str(settings.SITE_URL + reverse(name, args=args))


def media(sha256: str) -> str:
    """The address of a public picture: absolute on the media host where there is one, else a path of this site."""
    return str(settings.MEDIA_SITE_URL + reverse("media", args=[sha256]))


def media_host() -> str:
    """The name of the host that serves pictures alone, "" where there is none."""
    return urlsplit(settings.MEDIA_SITE_URL).hostname or ""
