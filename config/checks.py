"""What is wrong with the settings as a whole, each with the way to mend it; `config.env` has judged every value alone."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Tags, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

SECRET_KEY_LEAST = 50  # characters; Django's own warning begins at the same length
BUILT_IN_WEIGHTS = ("imagenet", "none", "random")
# Bytes that Pillow holds of each pixel at its peak, measured: docs/what-happens-to-a-photo.md.
DECODED_PIXEL_BYTES, WEBP_PIXEL_BYTES = 4, 17
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def refuse_errors() -> None:
    """For the processes that manage.py does not start: raise ImproperlyConfigured if any check finds an error."""
    errors = [message for message in run_checks() if message.level >= ERROR]
    if errors:
        raise ImproperlyConfigured(" ".join(f"({error.id}) {error.msg} {error.hint or ''}".strip() for error in errors))


@register(Tags.security)
def secret_key(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The key that everybody can read in the example must sign nothing outside debug, and a short one can be guessed."""
    if settings.DEBUG:
        return []
    hint = (
        "Set SECRET_KEY to the output of: python -c 'import secrets; print(secrets.token_urlsafe(64))'."
        " Unset it on a single machine: one is made and kept in VAR_DIR."
    )
    if settings.SECRET_KEY == settings.EXAMPLE_SECRET_KEY:
        return [Error("SECRET_KEY is the one from the example.", hint=hint, id="photorally.E001")]
    if len(settings.SECRET_KEY) < SECRET_KEY_LEAST:
        found = f"SECRET_KEY has {len(settings.SECRET_KEY)} characters; {SECRET_KEY_LEAST} are the least."
        return [Error(found, hint=hint, id="photorally.E002")]
    return []


@register(Tags.security)
def site_url(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tokens travel in every call: plain HTTP is for one's own machine."""
    parts = urlsplit(settings.SITE_URL)
    if settings.DEBUG or parts.scheme == "https" or parts.hostname in LOOPBACK:
        return []
    return [
        Warning(
            f"SITE_URL={settings.SITE_URL} is plain HTTP: tokens, votes and mail links can be read on the way.",
            hint="Put a TLS proxy in front, set SITE_URL to its https:// address and BEHIND_TLS_PROXY=1.",
            id="photorally.W001",
        )
    ]


@register(Tags.security)
def media_site_url(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A host of its own for pictures protects only if it is another one, and as well encrypted."""
    media, site = urlsplit(settings.MEDIA_SITE_URL), urlsplit(settings.SITE_URL)
    if not media.hostname:
        return []
    if media.hostname == site.hostname:
        return [
            Error(
                f"MEDIA_SITE_URL and SITE_URL are both on {site.hostname}: pages and strangers' files would share cookies.",
                hint="Set MEDIA_SITE_URL to another host name of this server (another port is not enough), or unset it.",
                id="photorally.E021",
            )
        ]
    if media.path or (site.scheme == "https" and media.scheme != "https"):
        return [
            Warning(
                f"MEDIA_SITE_URL={settings.MEDIA_SITE_URL} is plain HTTP beside an https:// site, or has a path.",
                hint="Set it to https:// and a host name alone: browsers block mixed content, and /media/ is added to it.",
                id="photorally.W021",
            )
        ]
    return []


@register()
def backbone_weights(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A night must not find out at two o'clock that its weights are not there."""
    weights = settings.BACKBONE_WEIGHTS
    if weights in BUILT_IN_WEIGHTS or Path(weights).expanduser().is_file():
        return []
    return [
        Error(
            f"BACKBONE_WEIGHTS={weights!r} names no file.",
            hint="Set it to imagenet (downloaded once), none (the small ones that come with this program), random, or the path "
            "of a .weights.h5 file.",
            id="photorally.E003",
        )
    ]


@register()
def object_store(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """An endpoint without a bucket would silently mean local disk."""
    if not settings.S3_ENDPOINT_URL or settings.S3_BUCKET:
        return []
    return [
        Error(
            "S3_ENDPOINT_URL is set, S3_BUCKET is not.",
            hint="Set S3_BUCKET to the bucket's name, or unset S3_ENDPOINT_URL to keep photos under VAR_DIR.",
            id="photorally.E004",
        )
    ]


@register()
def one_writer(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Several Celery workers on SQLite wait for one another and at last fail."""
    if not settings.REDIS_URL or not str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3"):
        return []
    return [
        Warning(
            "REDIS_URL asks for several worker processes, but the database is SQLite, which has one writer at a time.",
            hint="Set DATABASE_URL=postgres://…, or unset REDIS_URL: one process then does the work.",
            id="photorally.W002",
        )
    ]


@register()
def writable_folders(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What is written locally needs a place: the installation's folder and, without S3, the photos' folder."""
    folders = [settings.VAR_DIR] if settings.S3_BUCKET else [settings.VAR_DIR, settings.STORE_DIR]
    return [
        Error(
            f"{folder} cannot be written by this user.",
            hint="Give the user that runs Photorally the right to write there, or set VAR_DIR to another absolute folder.",
            id="photorally.E005",
        )
        for folder in folders
        if not _writable(folder)
    ]


def _writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or `folder` itself in the nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@register()
def split_shares(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every photo belongs to one split."""
    shares = settings.SPLIT_SHARES
    if set(shares) == {"train", "validation", "test"} and math.isclose(sum(shares.values()), 1) and min(shares.values()) > 0:
        return []
    return [
        Error(
            f"SPLIT_SHARES={shares!r} does not share out all photos.",
            hint="Name train, validation and test, each above 0, together 1.",
            id="photorally.E006",
        )
    ]


@register()
def decoding_limits(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What intake takes must fit what its decoder may use, or good photos would be set aside as broken."""
    found: list[CheckMessage] = []
    needed = settings.PHOTO_MAX_BYTES + max(
        settings.PHOTO_MAX_PIXELS * DECODED_PIXEL_BYTES,
        min(settings.PHOTO_MAX_PIXELS, settings.WEBP_MAX_PIXELS) * WEBP_PIXEL_BYTES,
        settings.JPEG_HELD_MAX_BYTES,
    )
    if needed > settings.DECODE_MEMORY_BYTES:
        found.append(
            Error(
                f"DECODE_MEMORY_BYTES={settings.DECODE_MEMORY_BYTES} is less than the largest photo needs: {needed} bytes.",
                hint="Raise DECODE_MEMORY_BYTES, or lower PHOTO_MAX_PIXELS or PHOTO_MAX_BYTES.",
                id="photorally.E041",
            )
        )
    if not settings.DECODE_CPU_S <= settings.DECODE_WALL_S < settings.DEVELOP_LEASE_S / 2:  # a photo may get a second child
        found.append(
            Error(
                f"DECODE_CPU_S={settings.DECODE_CPU_S}, DECODE_WALL_S={settings.DECODE_WALL_S} and"
                f" DEVELOP_LEASE_S={settings.DEVELOP_LEASE_S} contradict each other.",
                hint="Let DECODE_CPU_S be at most DECODE_WALL_S, and DECODE_WALL_S less than half of DEVELOP_LEASE_S.",
                id="photorally.E042",
            )
        )
    return found


@register(Tags.security, deploy=True)
def mail_leaves(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Files are a fine mailbox for one's own machine; subscribers read none of them."""
    if settings.DEBUG or not settings.EMAIL_URL.startswith("file://"):
        return []
    return [
        Warning(
            "EMAIL_URL writes mail to files: no subscriber gets any.",
            hint="Set EMAIL_URL=smtp://user:password@host:587 (or smtps://…:465).",
            id="photorally.W003",
        )
    ]
