"""Strict readers of environment variables: a surprising value stops the process and says how to mend it."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class SettingError(ImproperlyConfigured):
    """An environment variable is missing or malformed; the text names it and the way out."""


def text(name: str, default: str = "") -> str:
    """The variable with surrounding blanks removed; unset and blank both mean `default`."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    """A yes/no variable."""
    raw = text(name).lower()
    if not raw:
        return default
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    raise SettingError(f"{name}={raw!r} is neither yes nor no. Set it to 1 or 0, or unset it for {int(default)}.")


def whole(name: str, default: int, *, least: int, most: int, unit: str) -> int:
    """A whole number within [least, most]; `unit` is only for the message."""
    raw = text(name)
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise SettingError(
            f"{name}={raw!r} is not a whole number of {unit} from {least} to {most}. Unset it for the default, {default}."
        )
    return value


def url(name: str, default: str, *, schemes: tuple[str, ...]) -> str:
    """An address whose scheme is one of `schemes`; one that ends with + may go on, as in anymail+postmark://."""
    value = text(name, default)
    scheme = value.partition("://")[0]
    if value and not any(scheme == one or (one.endswith("+") and scheme.startswith(one)) for one in schemes):
        raise SettingError(f"{name}={value!r} does not start with one of {', '.join(s + '://' for s in schemes)}.")
    return value


def folder(name: str, default: Path) -> Path:
    """An absolute folder that this process may create."""
    value = Path(text(name, str(default))).expanduser()
    if not value.is_absolute():
        raise SettingError(f"{name}={str(value)!r} is a relative path. Set it to an absolute one, e.g. {value.resolve()}.")
    if value.exists() and not value.is_dir():
        raise SettingError(f"{name}={str(value)!r} is a file. Set it to a folder.")
    return value


def choice(name: str, default: str, *, among: tuple[str, ...]) -> str:
    """One of a few words."""
    value = text(name, default).lower()
    if value not in among:
        raise SettingError(f"{name}={value!r} is none of {', '.join(among)}. Unset it for the default, {default}.")
    return value


def words(name: str, default: list[str]) -> list[str]:
    """A comma-separated list."""
    raw = text(name)
    return [word.strip() for word in raw.split(",") if word.strip()] if raw else default
