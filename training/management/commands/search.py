"""Which network suits the phones: `manage.py search --recognizer groceries --weights a.h5 --weights b.h5 --ms 25`."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.models import Recognizer
from collector.storage import store
from config.errors import Problem
from config.files import write_whole
from training.backbone import find_backbone
from training.bars import bar
from training.front_picture import as_picture
from training.pareto import Network, best, front
from training.search import LEAST_SIZE, SIZES, Photos, photos_of, search


class Command(BaseCommand):
    help = (
        "Trains and exports networks of several widths and sizes, and names the best within a budget. Goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", required=True, help="its slug")
        parser.add_argument(
            "--weights",
            action="append",
            default=[],
            help="what BACKBONE_WEIGHTS may be, once for each width (default: BACKBONE_WEIGHTS)",
        )
        parser.add_argument("--size", action="append", type=int, default=[], help=f"pixels, once for each (default: {SIZES})")
        parser.add_argument("--quick", action="store_true", help="train the head alone: ranks sizes, but not widths")
        parser.add_argument("--ms", type=float, default=float("inf"), help="most milliseconds of an inference on this machine")
        parser.add_argument("--megabytes", type=float, default=float("inf"), help="largest file, in 10^6 bytes")

    def handle(self, *args: Any, recognizer: str, ms: float, megabytes: float, **options: Any) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}. The admin lists them.")
        if too_small := [size for size in options["size"] if size < LEAST_SIZE]:
            raise CommandError(f"--size {too_small[0]} is too small: pass {LEAST_SIZE} pixels or more.")
        folder = Path(settings.VAR_DIR) / "search"
        try:
            photos = photos_of(thing)
            networks = _all(photos, folder / "kept", **options)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        picture = folder / f"{thing.slug}.svg"
        write_whole(picture, as_picture(networks, thing.name))
        self.stdout.write(f"Drawn: {picture}")
        self._tell(networks, best(networks, most_bytes=megabytes * 1e6, most_ms=ms, scenes=photos.scenes))

    def _tell(self, networks: list[Network], chosen: Network | None) -> None:
        self.stdout.write("Networks that no other beats, the fastest first:")
        for each in front(networks):
            self.stdout.write(_line(each))
        if chosen is None:
            least = min(networks, key=lambda each: each.latency_ms)
            raise CommandError(f"None is within the budget; the fastest is {_line(least).strip()}.")
        self.stdout.write(f"Best within the budget: {_line(chosen).strip()}.")


def _all(photos: Photos, kept: Path, *, weights: list[str], size: list[int], quick: bool, **_: Any) -> list[Network]:
    """Every network, each told on the screen as it is done."""
    found = [
        find_backbone(setting, decision_s=settings.DOWNLOAD_DECISION_S) for setting in weights or [settings.BACKBONE_WEIGHTS]
    ]
    networks = []
    with bar() as progress:
        for network in search(
            photos, backbones=found, sizes=size or SIZES, quick=quick, read=store().get, kept=kept, progress=progress
        ):
            networks.append(network)
            tqdm.write(_line(network), file=sys.stderr)
    return networks


def _line(network: Network) -> str:
    right, photos = int(network.right.sum()), len(network.right)
    size, time = f"{network.bytes / 1e6:>6.2f} MB", f"{network.latency_ms:>6.2f} ms"
    return f"  {network.name:<32} {network.accuracy:>6.1%} ({right}/{photos})  {size}  {time}"
