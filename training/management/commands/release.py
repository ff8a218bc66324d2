"""The release channel by hand: `manage.py release show|publish|ramp|rollback --recognizer groceries`."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.models import Recognizer
from config.errors import Problem
from training import release


class Command(BaseCommand):
    help = "Shows or moves what phones get: show, publish (an existing version), ramp, rollback."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, does in (
            ("show", "the channel's release and where its files lie"),
            ("publish", "put an existing version on a channel"),
            ("ramp", "change the share of devices"),
            ("rollback", "give the files of the release before a higher version"),
        ):
            one = verbs.add_parser(verb, help=does)
            one.add_argument("--recognizer", required=True, help="its slug")
            one.add_argument("--channel", default=release.STABLE)
            one.add_argument("--json", action="store_true", dest="as_json")
            if verb == "publish":
                one.add_argument("--version", type=int, required=True, dest="wanted")
            if verb in ("publish", "ramp"):
                one.add_argument("--percent", type=int, required=verb == "ramp", default=100, help="of devices")

    def handle(
        self,
        *args: Any,
        verb: str,
        recognizer: str,
        channel: str,
        as_json: bool,
        percent: int = 100,
        wanted: int = 0,
        **rest: Any,
    ) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}.")
        try:
            if verb == "publish":
                release.offer(recognizer=thing, version=wanted, channel=channel, rollout=percent)
            elif verb == "ramp":
                release.ramp(recognizer=thing, percent=percent, channel=channel)
            elif verb == "rollback":
                release.rollback(recognizer=thing, channel=channel)
            shown = release.show(recognizer=thing, channel=channel)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(json.dumps(shown, indent=2) if as_json else _as_text(shown))


def _as_text(shown: dict[str, Any]) -> str:
    first = "{recognizer} v{version} ({state}) on {channel} for {rollout} % of devices, since {published_at}".format(**shown)
    return "\n".join(
        [first, *("  {format:8} {bytes:>10} bytes  {sha256}\n           {path}".format(**a) for a in shown["artifacts"])]
    )
