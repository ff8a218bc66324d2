"""`manage.py replay_tombstones`: after restoring an older database, withdraw again what had been withdrawn since."""

from typing import Any

from django.core.management.base import BaseCommand

from collector.erasure import replay_tombstones


class Command(BaseCommand):
    help = "After restoring a database: withdraw photos and erase accounts that the store's tombstones name."

    def handle(self, *args: Any, **options: Any) -> None:
        photos, accounts = replay_tombstones()
        self.stdout.write(f"{photos} photos withdrawn again, {accounts} accounts erased again.")
