"""The keys that phones believe: `manage.py keys make | sign | rotate | revoke | show`; docs/how-a-phone-gets-a-model.md."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import Problem
from config.files import write_whole
from config.secrets import read_or_make
from training import keys, keyset
from training.keyset import Document, KeySet

DAY = 86_400  # seconds
ARRIVES = "Phones fetch the set at their next update."


class Command(BaseCommand):
    help = "Makes, signs, rotates, revokes and shows the keys that phones believe. The root's private key need never be here."
    requires_system_checks: list[str] = []  # the check that the keys are usable would forbid making some

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        make = verbs.add_parser("make", help="a new private key, readable by its owner only")
        make.add_argument("kind", choices=["root", "online"])
        make.add_argument("file", type=Path)
        sign = verbs.add_parser("sign", help="the first set, or the present one anew, with more keys if any are named")
        sign.add_argument(
            "--online", type=Path, action="append", default=[], metavar="FILE", help="a key to list, or its public half"
        )
        rotate = verbs.add_parser("rotate", help="another key takes the place of the online one, or of the root")
        rotate.add_argument("kind", choices=["root", "online"])
        rotate.add_argument("new", type=Path, help="the new key's file")
        revoke = verbs.add_parser("revoke", help="phones refuse from now on what this key has signed")
        revoke.add_argument("kid")
        for verb in (sign, rotate, revoke):
            verb.add_argument("--root", type=Path, default=keys.embedded_root(), help="the root's private key")
            verb.add_argument("--days", type=int, default=settings.KEYS_VALID_S // DAY, help="how long the set holds")
        for verb in (sign, rotate, revoke, verbs.add_parser("show", help="what the set says")):
            verb.add_argument("--keys", type=Path, default=settings.KEYS_FILE, help="the set's file, read and replaced")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            getattr(self, f"_{verb}")(**options)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error

    def _make(self, *, kind: str, file: Path, **_: Any) -> None:
        if file.exists():
            raise CommandError(f"{file} exists. A key that has signed is never overwritten.")
        read_or_make(file, keys.make)
        public = json.dumps(keyset.public(keys.read_key(file)))
        self.stdout.write(f"Wrote {file}. Its public half: {public}")
        if kind == "root":
            self.stdout.write(
                f"Keep the file offline, twice, and never on the server. Ship the public half with the app, as version 1. "
                f"Next: manage.py keys sign --root {file} --online <online key> --keys keys.json"
            )
        else:
            self.stdout.write(
                f"Let the root vouch for it: manage.py keys sign --root <root> --online {file} --keys keys.json. "
                f"Then, on the server, SIGNING_KEY_FILE={file.resolve()}."
            )

    def _sign(self, *, root: Path, online: list[Path], days: int, **options: Any) -> None:
        file, now = options["keys"], int(time.time())
        document = _read(file) if file.exists() or file == keys.embedded_file() else None
        root_key = keys.read_key(root)
        if document is None and not online:
            raise CommandError(f"{file} does not exist: name the keys of the first set with --online FILE.")
        content = document.set if document else KeySet(0, now, now, ())
        for path in online:
            key = keys.read_key(path, private=False)
            self._refuse_revoked(content, key.thumbprint())
            content = content.with_key(key, not_after=now + settings.KEY_VALID_S)
        content = content.renewed(now=now, valid_s=days * DAY)
        self._write(file, document.signed(root_key, content) if document else keyset.first_text(root_key, content))
        self.stdout.write(f"On the server: KEYS_FILE={file.resolve()}, and SIGNING_KEY_FILE one of its keys. {ARRIVES}")

    def _rotate(self, *, kind: str, new: Path, root: Path, days: int, **options: Any) -> None:
        file, now = options["keys"], int(time.time())
        document, root_key = _read(file), keys.read_key(root)
        if kind == "root":
            new_root = keys.read_key(new)
            if new_root.thumbprint() == document.root.thumbprint():
                raise CommandError(f"{new} is the present root. Make another: manage.py keys make root FILE")
            content = document.set.renewed(now=now, valid_s=days * DAY)
            self._write(file, document.rotated(root_key, new_root, content))
            version = document.root_version + 1
            self.stdout.write(
                f"Root {version} is {new_root.thumbprint()}. Put {file} on the server, and never drop a rotation from it: "
                f"phones follow them one by one. Ship the new root with the next app, as version {version}. Destroy the old "
                "root's file: it is of no more use, except to a thief against phones that have not updated."
            )
            return
        key = keys.read_key(new, private=False)
        self._refuse_revoked(document.set, key.thumbprint())
        before = [old["kid"] for old in document.set.keys if old["kid"] != key.thumbprint()]
        content = document.set.ending(before, not_after=now + settings.KEY_OVERLAP_S)
        content = content.with_key(key, not_after=now + settings.KEY_VALID_S).renewed(now=now, valid_s=days * DAY)
        self._write(file, document.signed(root_key, content))
        self.stdout.write(
            f"The keys before end in {settings.KEY_OVERLAP_S // DAY} days, when all they signed has expired. On the server, "
            f"first the new {file}, then SIGNING_KEY_FILE={new.resolve()}, then restart. {ARRIVES}"
        )

    def _revoke(self, *, kid: str, root: Path, days: int, **options: Any) -> None:
        file = options["keys"]
        document, root_key = _read(file), keys.read_key(root)
        if kid not in {key["kid"] for key in document.set.keys}:
            raise CommandError(f"{file} lists no key {kid!r}. `manage.py keys show` names those that it does.")
        content = document.set.without(kid).renewed(now=int(time.time()), valid_s=days * DAY)
        self._write(file, document.signed(root_key, content))
        left = ", ".join(key["kid"] for key in content.keys) or "none: list another with `manage.py keys sign --online FILE`"
        self.stdout.write(f"Revoked {kid}. Keys left: {left}. Sign with one of these (SIGNING_KEY_FILE) and restart. {ARRIVES}")

    def _show(self, **options: Any) -> None:
        document = _read(options["keys"])
        content = document.set
        lines = [
            f"{options['keys']}",
            f"root {document.root_version}: {json.dumps(keyset.public(document.root))}",
            f"key set {content.version}: signed {_day(content.issued_at)}, holds until {_day(content.expires_at)}",
            *(f"key {key['kid']}: signs until {_day(key['not_after'])}{_marked(key['kid'])}" for key in content.keys),
            *(f"revoked {kid}" for kid in content.revoked),
        ]
        self.stdout.write("\n".join(lines))
        if options["keys"] == settings.KEYS_FILE:
            keys.fits(document, now=time.time())
            if keys.embedded_root().exists():
                self.stdout.write(
                    f"The root's private key lies on this server, in {keys.embedded_root()}: good for one's own machine. For "
                    "strangers' phones make one elsewhere: manage.py keys make root FILE"
                )

    def _refuse_revoked(self, content: KeySet, kid: str) -> None:
        if kid in content.revoked:
            raise CommandError(f"Key {kid} is revoked, and stays so. Make another: manage.py keys make online FILE")

    def _write(self, file: Path, text: str) -> None:
        document = Document.read(text)  # what cannot be read back must not replace what can
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode())
        self.stdout.write(f"Wrote {file}: key set {document.set.version} by root {document.root_version}.")


def _read(file: Path) -> Document:
    """What the file says; the embedded default's is made where there is none."""
    return (keys.present() if file == settings.KEYS_FILE else keys.read_set(file))[1]


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _marked(kid: str) -> str:
    try:
        return " (signs now)" if keys.signing_key().thumbprint() == kid else ""
    except Problem:  # away from the server there is none
        return ""
