"""Any exported file on any folder of photos: `manage.py evaluate --model model.tflite photos/`."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import Problem
from training.bars import bar
from training.evaluate import evaluate_folder
from training.models import Artifact


class Command(BaseCommand):
    help = "Runs an exported LiteRT file on a folder with one folder of photos per label and prints how good it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dir", type=Path, help="holds one folder per label, named like the label")
        parser.add_argument("--model", type=Path, required=True, help="a .tflite file")
        parser.add_argument(
            "--labels",
            type=Path,
            help="JSON list of the labels in the order of the model's outputs. Without it: labels.json beside the model, "
            "else what is known of a file that was exported here, else the sorted folder names",
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, dir: Path, model: Path, labels: Path | None, **options: Any) -> None:
        try:
            data = model.read_bytes()
        except OSError as error:
            raise CommandError(f"{model} cannot be read ({error.strerror}). Pass a .tflite file with --model.") from error
        order, origin = _labels_of(data, model, labels)
        with bar("photos") as progress:
            try:
                report = evaluate_folder(data, dir, labels=order, progress=progress)
            except Problem as problem:
                raise CommandError(problem.detail) from problem
        self.stdout.write(_as_json(report) if options["json"] else _as_text(report, origin))


def _labels_of(data: bytes, model: Path, file: Path | None) -> tuple[list[str] | None, str]:
    """(labels in the order of the outputs or None, where they come from)."""
    beside = model.with_name("labels.json")
    if file or beside.is_file():
        return _read_labels(file or beside), str(file or beside)
    artifact = Artifact.objects.filter(sha256=hashlib.sha256(data).hexdigest()).first()
    if artifact:
        return list(artifact.labels), f"run {artifact.run.slot}"
    return None, "the sorted folder names"


def _read_labels(file: Path) -> list[str]:
    try:
        labels = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read as JSON ({error}). It holds a list of labels.") from error
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise CommandError(f"{file} holds no JSON list of strings. Write the labels in the order of the model's outputs.")
    return labels


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False)


def _as_text(report: dict[str, Any], origin: str) -> str:
    low, high = report["interval"]
    lines = [
        f"{report['right']} of {report['n']} photos right: {report['accuracy']:.1%} (95 %: {low:.1%} to {high:.1%})",
        f"expected calibration error {report['calibration_error']:.3f}; labels from {origin}",
        "",
    ]
    width = max(len(label) for label in report["per_label"])
    for label, share in report["per_label"].items():
        if share["n"]:
            low, high = share["interval"]
            lines.append(
                f"{label:<{width}}  {share['right']:>4}/{share['n']:<4}  {share['recall']:>6.1%}  ({low:.0%} to {high:.0%})"
            )
    lines += [f"{pair['n']} × {pair['truth']} taken for {pair['predicted']}" for pair in report["confusions"]]
    skipped = report["skipped"].items()
    lines += [f"skipped: {name} ({count} photos), which the model does not know" for name, count in skipped]
    return "\n".join(lines)
