"""The Croissant description: mlcroissant finds no error in it and reads the snapshot by it; nobody is named in it."""

import json
from collections import Counter
from pathlib import Path

import mlcroissant
import pytest

from tests.nights import collected
from tests.stories import account
from training import croissant, leave, snapshot


def issues(path: Path) -> tuple[list[str], list[str]]:
    """(errors, warnings) of ML Commons' own reader."""
    found = mlcroissant.Dataset(jsonld=str(path)).metadata.ctx.issues
    return [str(each) for each in found.errors], [str(each) for each in found.warnings]


def written(folder: Path, **changes) -> Path:
    path = folder / "croissant.json"
    path.write_bytes(croissant.describe(account(**changes), url="https://photorally.example"))
    return path


def test_mlcroissant_finds_no_error_and_nothing_to_warn_of(tmp_path):
    assert issues(written(tmp_path)) == ([], [])


def test_mlcroissant_would_find_an_error(tmp_path):
    path = written(tmp_path)
    content = json.loads(path.read_text())
    content["recordSet"][2]["field"][0]["source"]["fileObject"]["@id"] = "another-file"
    path.write_text(json.dumps(content))
    with pytest.raises(mlcroissant.ValidationError):
        issues(path)


def test_it_names_licence_digest_and_counts(tmp_path):
    content = json.loads(written(tmp_path).read_text())
    assert content["license"] == ["https://creativecommons.org/licenses/by/4.0/"]
    assert content["distribution"][0]["sha256"] == "5a" * 32
    assert "12 by phone under CC-BY-4.0, consent 2026-11" in content["rai:dataCollection"]
    assert {"splits/name": "train", "splits/photos": 15} in content["recordSet"][1]["data"]


def test_the_records_of_a_real_snapshot_are_read_by_it(recognizer, volunteer, tmp_path):
    photos = collected(recognizer, volunteer, train=3, held=1)
    frozen = snapshot.take(recognizer=recognizer)
    told = account(snapshot=frozen.digest, counts=frozen.counts, origins=leave.origins(snapshot.read(frozen)))
    path = tmp_path / "croissant.json"
    path.write_bytes(croissant.describe(told, url="https://photorally.example"))
    (tmp_path / croissant.FILE).write_bytes(snapshot.as_lines(snapshot.read(frozen)))
    rows = list(mlcroissant.Dataset(jsonld=str(path)).records("photos"))
    assert {row["photos/photo"].decode() for row in rows} == {str(photo.pk) for photo in photos}
    assert Counter(row["photos/split"].decode() for row in rows) == {"train": 9, "validation": 3, "test": 3}
    assert all(set(row) == {f"photos/{name}" for name in ("photo", "label", "split", "sha256")} for row in rows)
    text = path.read_text()
    assert not any(str(photo.pk) in text for photo in photos) and str(volunteer.pk) not in text and volunteer.name not in text
