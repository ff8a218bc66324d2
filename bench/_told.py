"""What an installation says of its newest night, and what phones have after it, on a folder of photos.

`python -m bench._told RECOGNIZER FOLDER` prints it as one line of JSON; VAR_DIR names the installation.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def main(slug: str, folder: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from collector.models import Photo, Recognizer
    from training.models import CachedView, Run

    recognizer = Recognizer.objects.get(slug=slug)
    photos = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED)
    run = Run.objects.filter(recognizer=recognizer).first()
    told: dict[str, Any] = {
        "splits": dict(Counter(photos.values_list("split", flat=True))),
        "looks": CachedView.objects.filter(photo__recognizer=recognizer).count(),
    }
    if run is not None:
        told |= {"state": str(run.state), "message": run.message, "metrics": run.metrics, "phones": _phones(recognizer, folder)}
    print(json.dumps(told))


def _phones(recognizer: Any, folder: Path) -> dict[str, dict[str, bool]]:
    """Format → {label/photo: whether the file that phones are offered recognises it}; empty before the first release.

    A photo of a label that the file does not know counts as not recognised. Core ML files run on Apple's systems only.
    """
    from training import release
    from training.formats import LITERT

    pointer = release.pointer(recognizer)
    if pointer is None:
        return {}
    return {artifact.format: _hits(artifact, folder) for artifact in pointer.release.artifacts.filter(format__in=LITERT)}


def _hits(artifact: Any, folder: Path) -> dict[str, bool]:
    from django.utils.text import slugify

    from collector.storage import store
    from training import release
    from training.evaluate import classify, photos_by_label
    from training.images import load_examples

    model, size = store().get(f"{release.KIND}/{artifact.sha256}"), artifact.input_spec["width"]
    hits: dict[str, bool] = {}
    for label, paths in photos_by_label(folder).items():
        rows = [(str(path), str(path), 0) for path in paths]
        images = load_examples(rows, read=lambda key: Path(key).read_bytes(), size=size, progress=lambda *_: None).images
        for path, answer in zip(paths, classify(model, images).argmax(axis=1), strict=True):
            hits[f"{label}/{path.name}"] = artifact.labels[answer] == slugify(label, allow_unicode=True)
    return hits


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
