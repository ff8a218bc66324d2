"""EXPORT, for Apple's phones: Core ML packages of the trained network, by a process of its own that a night can do without.

coremltools converts on Linux, and runs models on macOS alone: these files are converted and inspected, not executed.

`python -m training.coreml WEIGHTS FACTS FOLDER`: what the process does. WEIGHTS is a file of training.weights, FACTS JSON with
"temperature", "labels", "about" and "cpu_s"; into FOLDER come <format>.mlpackage.zip.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from training.errors import ExportFailed
from training.formats import ALL, COREML

OWN = uuid.UUID("6f6a1f0e-6b6e-5d0c-9b60-6d5a8d0c4a11")  # names the parts of a package, which coremltools numbers at random
EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's first moment: the same network gives the same bytes
TOLD = 2000  # characters of what a failed process said that are kept
LEAST_COMPRESSED = 0.9  # of the layers of a package of 8 bits


def packages(weights: bytes, facts: Mapping[str, Any]) -> tuple[dict[str, bytes], str]:
    """(format → zipped package, note): none and a note where it went wrong, which never ends a night; "" otherwise."""
    if not settings.COREML_LIMIT_S:
        return {}, ""
    with tempfile.TemporaryDirectory(prefix="photorally-coreml-") as place:
        folder = Path(place)
        (folder / "weights").write_bytes(weights)
        (folder / "facts.json").write_text(json.dumps({**facts, "cpu_s": 2 * settings.COREML_LIMIT_S}))
        command = [sys.executable, "-m", "training.coreml", str(folder / "weights"), str(folder / "facts.json"), place]
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter and files
                command,
                cwd=settings.BASE_DIR,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": place},
                capture_output=True,
                timeout=settings.COREML_LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return {}, f"No Core ML files: making them took more than {settings.COREML_LIMIT_S} s (COREML_LIMIT_S)."
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-TOLD:]
            return {}, f"No Core ML files: {said.splitlines()[-1] if said else f'the process ended with {done.returncode}'}"
        return {name: (folder / f"{name}{ALL[name].ending}").read_bytes() for name in COREML}, ""


def inspect(package: bytes, labels: list[str], size: int, *, eight_bits: bool) -> dict[str, Any]:
    """Reload a zipped package and look at its description; returns what it found. Raises ExportFailed.

    It must take an RGB image of `size` pixels, name its classes `labels`, and, of 8 bits, hold its weights as int8 with scales.
    """
    import coremltools

    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model.mlpackage")
        with zipfile.ZipFile(_file(package, place)) as archive:
            archive.extractall(path)
        described = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    image = described.description.input[0].type.imageType
    operations = [op for main in described.mlProgram.functions.values() for op in _operations(main)]
    compressed = sum(op.type.startswith("constexpr_") for op in operations)
    heavy = sum(op.type in {"conv", "linear", "matmul"} for op in operations)
    found = {
        "input": [image.width, image.height],
        "labels": _classes(operations),
        "layers": heavy,
        "compressed": compressed,
        "bytes": len(package),
    }
    rgb = coremltools.proto.FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value("RGB")
    if found["input"] != [size, size] or image.colorSpace != rgb or found["labels"] != labels:
        raise ExportFailed("The Core ML file does not take the image or name the labels that it should.", **found)
    if eight_bits != (compressed >= LEAST_COMPRESSED * heavy > 0):
        raise ExportFailed(f"{compressed} of {heavy} layers of the Core ML file have compressed weights.", **found)
    return found


def _file(package: bytes, place: str) -> Path:
    path = Path(place, "package.zip")
    path.write_bytes(package)
    return path


def _operations(function: Any) -> list[Any]:
    return [op for block in function.block_specializations.values() for op in block.operations]


def _classes(operations: list[Any]) -> list[str]:
    """The labels that the program's last step, `classify`, chooses among."""
    for op in operations:
        if op.type == "classify":
            values = op.inputs["classes"].arguments[0].value.immediateValue.list.values
            return [value.immediateValue.tensor.strings.values[0] for value in values]
    return []


# ---- the process -------------------------------------------------------------------------------------------------
def main(weights: Path, facts: Path, folder: Path) -> None:
    """Convert, compress, pack, inspect. Raises what coremltools raises, and ExportFailed."""
    known = json.loads(facts.read_text())
    resource.setrlimit(resource.RLIMIT_DATA, (settings.COREML_MEMORY_BYTES, settings.COREML_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (known["cpu_s"], known["cpu_s"]))  # should it outlive who waits for it
    import coremltools
    from coremltools.optimize import coreml as smaller

    labels, size, model = known["labels"], *_network(weights.read_bytes(), known["temperature"])
    with tempfile.TemporaryDirectory() as saved:
        from training.export import save

        save(model, saved)
        full = coremltools.convert(
            saved,
            source="tensorflow",
            inputs=[coremltools.ImageType(name="pixels", shape=(1, size, size, 3), color_layout=coremltools.colorlayout.RGB)],
            classifier_config=coremltools.ClassifierConfig(labels),
            convert_to="mlprogram",
            compute_precision=coremltools.precision.FLOAT16,
            minimum_deployment_target=coremltools.target.iOS16,  # the first that unpacks 8-bit weights by itself
        )
    eight = smaller.linear_quantize_weights(
        full,
        config=smaller.OptimizationConfig(
            # Per channel, like int8 files; every layer, however small: phones load one kind of weights.
            global_config=smaller.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
        ),
    )
    for name, converted in zip(COREML, (full, eight), strict=True):
        package = _packed(converted, {**known["about"], "format": name})
        inspect(package, labels, size, eight_bits=converted is eight)
        (folder / f"{name}{ALL[name].ending}").write_bytes(package)


def _network(data: bytes, temperature: float) -> tuple[int, Any]:
    """(pixels of the input's side, the model) of kept weights."""
    from dataclasses import replace

    from training.confidence import cooled
    from training.network import assemble, restored
    from training.weights import from_bytes

    kept = from_bytes(data)
    return kept.fit.image_size, assemble(*restored(replace(kept, head=cooled(kept.head, temperature))))[0]


def _packed(model: Any, about: Mapping[str, Any]) -> bytes:
    """The package as a zip whose bytes follow from the network: no dates, no random names."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model.mlpackage")
        model.user_defined_metadata["photorally"] = json.dumps(about, sort_keys=True, ensure_ascii=False)
        model.user_defined_metadata["com.github.apple.coremltools.conversion_date"] = ""
        model.save(str(path))
        zipped = Path(place, "package.zip")
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(each for each in path.rglob("*") if each.is_file()):
                name = str(file.relative_to(path))
                data = _renamed(file.read_bytes()) if name == "Manifest.json" else file.read_bytes()
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
        return zipped.read_bytes()


def _renamed(manifest: bytes) -> bytes:
    """The package's list of parts, each named by its path instead of at random."""
    content = json.loads(manifest)
    entries, root = {}, content.get("rootModelIdentifier")
    for key, entry in content["itemInfoEntries"].items():
        name = str(uuid.uuid5(OWN, entry["path"])).upper()
        entries[name] = entry
        if key == root:
            content["rootModelIdentifier"] = name
    content["itemInfoEntries"] = entries
    return json.dumps(content, sort_keys=True, indent=1).encode()


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    main(*(Path(argument) for argument in sys.argv[1:4]))
