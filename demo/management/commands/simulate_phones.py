"""`manage.py simulate_phones`: a crowd of reference phones against any server, over HTTP."""

import random
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from clients.calls import ServerRefused, TryLater
from demo.crowd import Crowd
from demo.shots import dealt, drawn, found


class Command(BaseCommand):
    help = "Let simulated volunteers register, upload photos and vote. The server must know the recognizer and its labels."
    requires_system_checks: list[str] = []  # a client: this machine's settings do not matter

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--recognizer", required=True, help="its slug")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--photos", type=Path, help="a folder of label folders")
        source.add_argument("--draw", type=int, metavar="N", help="draw N photos of the demo's currency")
        parser.add_argument("--phones", type=int, default=12)
        parser.add_argument("--votes", type=int, default=0, metavar="N", help="votes of each phone")
        parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same photos")

    def handle(self, *args: Any, **options: Any) -> None:
        rng = random.Random(options["seed"])
        if options["phones"] < 1:
            raise CommandError("--phones must be 1 or more.")
        if options["photos"] and not options["photos"].is_dir():
            raise CommandError(f"{options['photos']} is no folder. Name one that looks like <folder>/<label>/<photo>.jpg.")
        with tempfile.TemporaryDirectory() as folder, Crowd(options["url"], options["phones"], Path(folder)) as crowd:
            try:
                crowd.register()
                shots = self._shots(options, rng)
                with tqdm(total=len(shots), desc="sending", unit="photo") as bar:
                    refused = crowd.send(options["recognizer"], dealt(shots, options["phones"]), bar.update)
                self.stdout.write(f"{len(shots) - sum(refused.values())} photos arrived; refused: {dict(refused) or 'none'}.")
                if options["votes"]:
                    self._vote(crowd, options)
            except (ServerRefused, TryLater) as problem:
                raise CommandError(str(problem)) from None

    def _shots(self, options: dict[str, Any], rng: random.Random) -> Any:
        if options["photos"]:
            return found(options["photos"], rng)
        with tqdm(total=options["draw"], desc="drawing", unit="photo") as bar:
            return drawn(options["draw"], rng, bar.update)

    def _vote(self, crowd: Crowd, options: dict[str, Any]) -> None:
        with tqdm(total=options["votes"] * options["phones"], desc="voting", unit="vote") as bar:
            votes = crowd.vote(
                options["recognizer"],
                each=options["votes"],
                # Some photos please more than others, whoever looks: their id decides how much.
                likes=lambda photo_id, rng: rng.random() < random.Random(photo_id).random(),
                seed=options["seed"],
                voted=bar.update,
            )
        self.stdout.write(f"{votes} votes cast.")
