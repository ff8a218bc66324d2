"""GATE → RELEASE, people: what came of a night, as files on their way into a release, as a sentence, and as pages to read."""

import hashlib
from typing import Any

import numpy as np

from training import canaries, formats, release, runs, snapshot
from training.checkpoints import Result
from training.finish import spec
from training.formats import COREML, INT8_SMALL, LITERT
from training.incumbent import int8_of
from training.leave import leave
from training.models import Run
from training.plan import Plan
from training.recipe import Recipe
from training.seen import Seen


def exported(tonight: Plan, recipe: Recipe, files: Result, measured: dict[str, Any]) -> list[release.Exported]:
    """The files with what phones must know of them, and the pictures by which they check int8, on their way into a release."""
    size, labels, small = recipe.image_size, tonight.classes.labels, INT8_SMALL.name
    accuracy = {name: measured["float" if name == "float32" else name]["accuracy"] for name in LITERT}
    int8 = files.arrays["int8"].tobytes()
    answers = {"int8": {"confidence": files.facts["confidence"], "canaries": canaries.expected(int8, size)}}
    sizes = {}
    if small in files.arrays:
        sizes[small], accuracy[small] = files.facts["small"]["pixels"], measured["small"]["accuracy"]
        expected = canaries.expected(files.arrays[small].tobytes(), sizes[small])
        answers[small] = {"confidence": files.facts["small"]["confidence"], "canaries": expected}
    return [
        *(
            release.Exported(
                name,
                files.arrays[name].tobytes(),
                spec(name, sizes.get(name, size)),
                labels,
                {"accuracy": accuracy.get(name), "held_out": measured["held_out"], "executed": formats.named(name).executed},
                answers.get(name, {}),
            )
            for name in (*LITERT, small, *COREML)
            if name in files.arrays
        ),
        release.Exported("canaries", canaries.sheet(), {"width": canaries.SIDE}, labels, {}),
    ]


def news(tonight: Plan, measured: dict[str, Any]) -> str:
    """Accuracy, and everything about this candidate that is not as usual, in short sentences."""
    int8, incumbent = measured["int8"], measured["incumbent"]
    before = f", the incumbent {incumbent['accuracy']:.1%}" if incumbent else ""
    said = [f"int8 recognises {int8['accuracy']:.1%} of {measured['held_out']} held-out photos{before}."]
    artifact = int8_of(tonight.incumbent)
    if artifact and artifact.labels != tonight.classes.labels:
        said.append(f"Its classes differ from {tonight.incumbent}'s ({_difference(artifact.labels, tonight.classes.labels)}).")
    if artifact and incumbent is None:
        said.append(f"It could not be compared with {tonight.incumbent} on the same photos.")
    if small := measured["small"]:
        said.append(f"Slow phones: {small['left_out']}" if "left_out" in small else _for_slow_phones(small))
    if tonight.classes.dropped:
        said.append(f"Left out for too few training photos: {snapshot.too_few(tonight.classes.dropped)}.")
    if tonight.training.left_out:
        said.append(tonight.training.sentence())
    if tonight.distrusted:
        said.append(tonight.left_out)
    if tonight.backbone.note:
        said.append(tonight.backbone.note)
    return " ".join(said)


def _for_slow_phones(small: dict[str, Any]) -> str:
    return f"Slow phones get a file with a smaller input, which recognises {small['accuracy']:.1%}."


def _difference(old: list[str], new: list[str]) -> str:
    added, removed = [slug for slug in new if slug not in old], [slug for slug in old if slug not in new]
    parts = [f"{sign} {slug}" for sign, slugs in (("+", added), ("−", removed)) for slug in slugs]
    if not parts:
        return "another order"
    return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")


def tell_people(
    run: Run,
    tonight: Plan,
    test: Seen,
    history: dict[str, Any],
    files: dict[str, np.ndarray],
    measured: dict[str, Any],
    probabilities: dict[str, Any],
) -> None:
    """The files for people, with the chosen way's `history`; what could not be made is noted on the run."""
    backbone = tonight.backbone
    artifacts = [
        {"format": name, "sha256": hashlib.sha256(files[name].tobytes()).hexdigest(), "bytes": len(files[name])}
        for name in (*LITERT, INT8_SMALL.name, *COREML)
        if name in files
    ]
    left = leave(
        run,
        reports={name: measured[name] for name in ("float", "int8", "incumbent")},
        probabilities=probabilities["int8"],
        truth=test.truth,
        labels=tonight.classes.labels,
        history=history,
        entries=tonight.entries,
        backbone={"source": backbone.source, "digest": backbone.digest, "alpha": backbone.alpha, "note": backbone.note},
        artifacts=artifacts,
    )
    runs.write(run, metrics=run.metrics | {"notes": left.notes})
