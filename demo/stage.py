"""Where the demo plays: a fresh folder and the embedded default, whatever this shell exports."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from demo.processes import ROOT, free_port

FOLDER = ROOT / "var" / "demo"
MARK = "PHOTORALLY_DEMO"  # set for the process that plays
# What would lead away from the embedded default, or to somebody's real data.
# fmt: off
FORGOTTEN = frozenset((
    "VAR_DIR", "DATABASE_URL", "REDIS_URL", "S3_BUCKET", "S3_ENDPOINT_URL", "EMAIL_URL", "MAIL_FROM", "DEBUG",
    "SECRET_KEY", "SITE_URL", "MEDIA_SITE_URL", "ALLOWED_HOSTS", "BEHIND_TLS_PROXY", "SIGNING_KEY_FILE", "KEYS_FILE",
    "TRUSTED_PROXIES", "REGISTRATION", "DATABASE_POOL", "DATABASE_PREPARE", "BLOB_REDIRECT", "MAIL_WEBHOOK_SECRET",
    "MAILGUN_WEBHOOK_SIGNING_KEY",
    "DKIM_KEY_FILE", "DKIM_SELECTOR", "DKIM_DOMAIN", "MAIL_IMAGES",
))
# fmt: on


def is_set() -> bool:
    return os.environ.get(MARK) == "1"


def enter() -> NoReturn:
    """Empty FOLDER and start this command again with settings of its own: they are read only once a process."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    sys.stdout.flush()
    command = [sys.executable, str(ROOT / "manage.py"), *sys.argv[1:]]
    os.execve(sys.executable, command, environment(os.environ, free_port()))  # noqa: S606


def environment(outside: Mapping[str, str], port: int) -> dict[str, str]:
    """What the demo's processes get to see; a path in PHOTOS or BACKBONE_WEIGHTS may be relative to the present folder."""
    inside = {name: value for name, value in outside.items() if name not in FORGOTTEN}
    for name in ("BACKBONE_WEIGHTS", "PHOTOS"):
        value = Path(inside.get(name, "")).expanduser()
        if inside.get(name) and value.exists():
            inside[name] = str(value.resolve())
    address = {"HOST": "127.0.0.1", "PORT": str(port), "SITE_URL": f"http://127.0.0.1:{port}"}
    return inside | address | {MARK: "1", "VAR_DIR": str(FOLDER)}
