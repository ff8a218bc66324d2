"""The release channel by hand: `manage.py release show|publish|ramp|arm|pause|… --recognizer groceries`."""

import getpass
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.models import Recognizer
from config.errors import Problem
from training import release, rollout
from training.models import Move

VERBS = {
    "show": "the channel's release and where its files lie",
    "log": "the channel's last moves: when, by whom, what, why",
    "publish": "put an existing version on a channel",
    "ramp": "change the share of devices",
    "arm": "try an existing version beside the channel's, on half of a share of devices",
    "pause": "the ramp does not go on by itself",
    "resume": "the ramp goes on by itself again, where the channel is automatic",
    "automatic": "new releases begin at the first step of RAMP_STEPS and go on by themselves while they are not worse",
    "by-hand": "new releases go to all devices at once, or stay at the share that is set",
    "halt": "take back what is on trial: the arm, or the release of the ramp",
    "rollback": "give the files of the release before a higher version",
    "limit": "say which phones a version is for",
}
SWITCHES = {"pause": ("paused", True), "resume": ("paused", False), "automatic": ("automatic", True)}
SWITCHES["by-hand"] = ("automatic", False)
LOG_LINES = 20


class Command(BaseCommand):
    help = f"Shows or moves what phones get: {', '.join(VERBS)}."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, does in VERBS.items():
            one = verbs.add_parser(verb, help=does)
            one.add_argument("--recognizer", required=True, help="its slug")
            one.add_argument("--channel", default=release.STABLE)
            one.add_argument("--json", action="store_true", dest="as_json")
            if verb not in ("show", "log"):
                one.add_argument("--why", default="", help="for the log")
            if verb in ("publish", "arm", "limit"):
                one.add_argument("--version", type=int, required=True, dest="wanted")
            if verb in ("publish", "ramp", "arm"):
                one.add_argument("--percent", type=int, required=verb != "publish", default=100, help="of devices")
            if verb == "limit":
                one.add_argument("--minimum-app", help="oldest version of the app that can run it")
                one.add_argument("--platforms", nargs="*", help="e.g. android; none given: all")
                one.add_argument("--tiers", nargs="*", help="tiers of devices; none given: all")

    def handle(self, *args: Any, verb: str, recognizer: str, channel: str, as_json: bool, **options: Any) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}.")
        try:
            _move(thing, verb, channel, options)
            if verb == "log":
                self.stdout.write(_log(thing, channel, as_json))
                return
            shown = release.show(recognizer=thing, channel=channel)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(json.dumps(shown, indent=2) if as_json else _as_text(shown))


def _move(thing: Recognizer, verb: str, channel: str, options: dict[str, Any]) -> None:
    if verb in ("show", "log"):
        return
    cause = {"by": f"manage.py as {_user()}", "why": options["why"]}
    where = {"recognizer": thing, "channel": channel, **cause}
    if verb == "publish":
        release.offer(version=options["wanted"], rollout=options["percent"], **where)
    elif verb == "ramp":
        release.ramp(percent=options["percent"], **where)
    elif verb == "arm":
        rollout.try_beside(version=options["wanted"], percent=options["percent"], **where)
    elif verb == "halt":
        rollout.halt(**where)
    elif verb == "rollback":
        release.rollback(**where)
    elif verb == "limit":
        target = {name: options[name] for name in ("minimum_app", "platforms", "tiers")}
        rollout.limit(release=release.published(thing, options["wanted"]), **target, **cause)
    else:
        field, on = SWITCHES[verb]
        rollout.switch(field=field, on=on, **where)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody"


def _log(thing: Recognizer, channel: str, as_json: bool) -> str:
    rows = Move.objects.filter(channel=release.channel_of(thing, channel))[:LOG_LINES]
    names = ("by", "verb", "before", "after", "why")
    lines = [{"made_at": row.made_at.isoformat(), **{name: getattr(row, name) for name in names}} for row in rows]
    if as_json:
        return json.dumps(lines, indent=2)
    return "\n".join(
        f"{line['made_at']}  {line['verb']} by {line['by']}: {line['after']} {line['why']}".rstrip() for line in lines
    )


def _as_text(shown: dict[str, Any]) -> str:
    first = "{recognizer} v{version} ({state}) on {channel} for {rollout} % of devices, since {published_at}".format(**shown)
    if shown["arm"]:
        first += "\n  arm: v{arm} on half of {arm_percent} % of devices".format(**shown)
    return "\n".join(
        [first, *("  {format:8} {bytes:>10} bytes  {sha256}\n           {path}".format(**a) for a in shown["artifacts"])]
    )
