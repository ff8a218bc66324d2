"""The key that signs manifests: `manage.py keys show` and `manage.py keys make FILE`."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import Problem
from config.secrets import read_or_make
from training import keys


class Command(BaseCommand):
    help = "Prints the public keys that phones check manifests with, or makes a new private key file."
    requires_system_checks: list[str] = []  # the check that the key is usable would forbid making one

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("show", help="the public JWK set")
        verbs.add_parser("make", help="write a new private key, readable by its owner only").add_argument("file", type=Path)

    def handle(self, *args: Any, verb: str, file: Path | None = None, **options: Any) -> None:
        if file is not None:
            if file.exists():
                raise CommandError(f"{file} exists. A key that signed manifests is never overwritten.")
            read_or_make(file, keys.make)
            self.stdout.write(f"Wrote {file}. Set SIGNING_KEY_FILE={file.resolve()} and keep a copy offline.")
            return
        try:
            self.stdout.write(json.dumps(keys.public_jwks(), indent=2))
        except Problem as problem:
            raise CommandError(problem.detail) from problem
