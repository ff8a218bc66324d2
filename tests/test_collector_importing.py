"""INTAKE for owners: folders come in through the phones' verb, safely repeated, with each refusal named."""

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from collector.models import Photo, Recognizer, Volunteer
from tests.drawing import jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, label in enumerate(("Green-Apple", "Pear")):
        (tmp_path / label).mkdir()
        for seed in range(10):
            (tmp_path / label / f"{seed}.jpg").write_bytes(jpeg(100 * number + seed, size=(96, 64)))
    (tmp_path / "Pear" / "cut.jpg").write_bytes(jpeg(99)[:-300])
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("not a photo")
    return tmp_path


def run(*args: Any, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_photos", *args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_a_folder_becomes_a_recognizer_with_accepted_photos_in_all_splits(folder: Path) -> None:
    out, err = run(str(folder), recognizer="fruit", accept=True)
    assert "20 new" in out and "20 accepted" in out and "2 refused" in out
    assert "Pear/cut.jpg" in err and "notes/readme.txt" in err
    recognizer = Recognizer.objects.get(slug="fruit")
    assert [(label.slug, label.name) for label in recognizer.labels.all()] == [("green-apple", "Green Apple"), ("pear", "Pear")]
    splits = Counter(Photo.objects.values_list("label__slug", "split"))
    for label in ("green-apple", "pear"):
        assert splits[label, "train"] == 7 and splits[label, "test"] in (1, 2) and splits[label, "validation"] in (1, 2)


def test_importing_again_adds_nothing(folder: Path) -> None:
    run(str(folder), recognizer="fruit")
    assert Photo.objects.filter(state="received").count() == 20
    out, _ = run(str(folder), recognizer="fruit", accept=True)
    assert "0 new, 20 known already, 20 accepted" in out
    assert Photo.objects.count() == 20


def test_an_import_belongs_to_nobody_who_could_sign_in(folder: Path) -> None:
    run(str(folder), recognizer="fruit")
    assert Volunteer.objects.get().token_hash == "import:fruit"  # no SHA-256 looks like this


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    for prepare in (lambda: None, lambda: (tmp_path / "a").mkdir(), lambda: (tmp_path / "a" / "x.txt").write_text("x")):
        prepare()
        with pytest.raises(CommandError):
            run(str(tmp_path), recognizer="fruit")
    assert Recognizer.objects.count() == 0
