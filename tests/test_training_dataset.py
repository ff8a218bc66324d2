"""Exports: files that other tools read, that may be interrupted and repeated, and that hold nobody's withdrawn photo."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from collector.erasure import withdraw
from collector.importing import Folder, Plan, import_photos
from collector.models import Photo, Recognizer
from collector.storage import store
from tests.nights import accepted, collected
from training import dataset, snapshot
from training.errors import LostPhoto, OtherExport, UnknownSnapshot

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_store(settings, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def photos(recognizer, volunteer) -> list[Photo]:
    return collected(recognizer, volunteer, train=3, held=1)


@pytest.fixture
def export(recognizer, photos, tmp_path: Path):
    def run(form: str = "folders", **options) -> dataset.Exported:
        return dataset.export(**({"recognizer": recognizer, "folder": tmp_path / "out", "form": form} | options))

    return run


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {dataset.MARK}


def place(photo: Photo) -> str:
    return f"{photo.split}/{photo.label.slug}/{photo.pk}.jpg"


def gone(photo: Photo, volunteer) -> None:
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    store().delete(f"views/{photo.view_sha256}")  # what follows the commit


# ---- folders -----------------------------------------------------------------------------------------------------
def test_folders_hold_the_stored_views_by_split_and_label(export, photos, tmp_path):
    result = export()
    assert files(result.folder) == {place(photo) for photo in photos}
    assert (result.written, result.kept, result.per_split) == (15, 0, {"train": 9, "validation": 3, "test": 3})
    data = (result.folder / place(photos[0])).read_bytes()
    assert data == store().get(f"views/{photos[0].view_sha256}")
    assert not Image.open(io.BytesIO(data)).getexif()


def test_repeating_adds_only_what_is_missing(export, photos):
    result = export()
    (result.folder / place(photos[0])).unlink()
    torn = result.folder / f"{place(photos[1])}.0123.part"
    torn.write_bytes(b"half")
    before = (result.folder / place(photos[1])).stat().st_mtime_ns
    again = export()
    assert (again.written, again.kept, again.removed) == (1, 14, 0)
    assert files(result.folder) == {place(photo) for photo in photos}
    assert (result.folder / place(photos[1])).stat().st_mtime_ns == before


def test_a_begun_export_goes_on_with_its_snapshot_though_there_are_new_photos(export, recognizer, volunteer):
    first = export()
    accepted(recognizer, volunteer, "gold")
    assert (export().digest, export().kept) == (first.digest, 15)


def test_a_photo_withdrawn_since_the_snapshot_is_left_out_and_named(export, photos, volunteer, recognizer):
    frozen = snapshot.take(recognizer=recognizer)
    gone(photos[0], volunteer)
    Photo.objects.filter(pk=photos[1].pk).update(state=Photo.State.REJECTED)
    result = export(digest=frozen.digest[:10])
    assert result.left_out == {str(photos[0].pk): "withdrawn", str(photos[1].pk): "rejected"}
    assert files(result.folder) == {place(photo) for photo in photos[2:]}


def test_a_photo_withdrawn_after_it_was_written_goes_when_the_export_is_repeated(export, photos, volunteer):
    result = export()
    gone(photos[0], volunteer)
    again = export()
    assert (again.removed, list(again.left_out)) == (1, [str(photos[0].pk)])
    assert files(result.folder) == {place(photo) for photo in photos[1:]}


def test_a_photo_withdrawn_while_the_export_runs_is_not_in_it(export, photos, volunteer):
    order = sorted(photos, key=lambda photo: str(photo.pk))

    def progress(done: int, total: int) -> None:
        if done == 2:
            gone(order[0], volunteer)  # written already
            gone(order[5], volunteer)  # not yet

    result = export(progress=progress)
    assert set(result.left_out) == {str(order[0].pk), str(order[5].pk)}
    assert files(result.folder) == {place(photo) for photo in order if photo not in (order[0], order[5])}
    assert sum(result.per_split.values()) == 13


def test_a_lost_view_is_an_error_that_names_the_photo(export, photos):
    store().delete(f"views/{photos[0].view_sha256}")
    with pytest.raises(LostPhoto, match=str(photos[0].pk)):
        export()


def test_one_split_alone(export):
    assert export(splits=["test"]).per_split == {"test": 3}


def test_two_exports_do_not_mix(export, tmp_path):
    export()
    with pytest.raises(OtherExport, match="another format"):
        export("coco")
    with pytest.raises(OtherExport, match="another splits"):
        export(splits=["train"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(OtherExport, match="no export"):
        export(folder=tmp_path / "mine")


def test_an_unknown_snapshot_is_refused(export):
    with pytest.raises(UnknownSnapshot, match="none yet"):
        export(digest="abc")


def test_an_exported_folder_can_be_imported_again(export, photos, settings):
    folder = export().folder
    result = import_photos(source=Folder(folder), plan=Plan(slug="copies", name="Copies"))
    assert (result.new, result.refused) == (15, [])
    assert dict(result.per_label) == {"copper": 5, "silver": 5, "gold": 5}
    assert Recognizer.objects.get(slug="copies").photos.count() == 15


# ---- COCO --------------------------------------------------------------------------------------------------------
def test_coco_lists_images_categories_and_annotations_without_boxes(export, photos, recognizer):
    result = export("coco")
    content = json.loads((result.folder / "annotations" / "train.json").read_text())
    assert set(content) == {"info", "licenses", "categories", "images", "annotations"}
    assert content["info"]["version"] == result.digest
    assert content["licenses"] == [{"id": 1, "name": "CC-BY-4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}]
    assert [(each["id"], each["name"]) for each in content["categories"]] == [(1, "copper"), (2, "silver"), (3, "gold")]
    names = {each["id"]: each["name"] for each in content["categories"]}
    labels = {str(photo.pk): photo.label.slug for photo in photos}
    images = {image["id"]: image for image in content["images"]}
    assert len(content["annotations"]) == len(images) == 9
    for each in content["annotations"]:
        image = images[each["image_id"]]
        assert names[each["category_id"]] == labels[image["photo"]] and "bbox" not in each
        assert Image.open(result.folder / image["file_name"]).size == (image["width"], image["height"])
    assert files(result.folder) == {
        *(f"{photo.split}/{photo.pk}.jpg" for photo in photos),
        *(f"annotations/{split}.json" for split in ("train", "validation", "test")),
    }


def test_coco_forgets_a_withdrawn_photo(export, photos, volunteer):
    export("coco")
    gone(photos[0], volunteer)
    result = export("coco")
    text = (result.folder / "annotations" / "train.json").read_text()
    assert str(photos[0].pk) not in text and len(json.loads(text)["images"]) == 8


def test_no_file_tells_who_sent_a_photo(export, volunteer):
    for form in ("folders", "coco"):
        result = export(form, folder=export().folder.with_name(form))
        for name in files(result.folder):
            assert str(volunteer.pk).encode() not in (result.folder / name).read_bytes()


# ---- TFRecord ----------------------------------------------------------------------------------------------------
# Export, read by TensorFlow, withdraw a training photo, export and read again: one process, for TensorFlow takes long to load.
STORY = """
import django, json, sys
django.setup()
import tensorflow as tf
from django.core.management import call_command
from collector.erasure import withdraw
from collector.models import Photo

def read():
    found = {}
    for path in sorted(tf.io.gfile.glob(sys.argv[1] + "/*.tfrecord")):
        for record in tf.data.TFRecordDataset(path):
            shape = {name: tf.io.FixedLenFeature([], tf.int64 if name == "label" else tf.string)
                     for name in ("image", "label", "label/name", "photo", "sha256")}
            row = tf.io.parse_single_example(record, shape)
            tf.io.decode_jpeg(row["image"])
            found[row["photo"].numpy().decode()] = [int(row["label"]), row["label/name"].numpy().decode(), path.split("/")[-1]]
    return found

def export():
    call_command("export_dataset", sys.argv[1], recognizer="coins", format="tfrecord", stdout=sys.stderr)
    return read()

before = export()
photo = Photo.objects.get(pk=sys.argv[2])
withdraw(photo_id=photo.pk, volunteer=photo.volunteer)
print(json.dumps([before, export()]))
"""


def test_a_photos_shard_follows_from_its_id_alone(recognizer, photos, monkeypatch):
    monkeypatch.setattr(dataset, "SHARD_PHOTOS", 3)
    entries = snapshot.read(snapshot.take(recognizer=recognizer))
    shards = dataset._shards(entries)
    assert {name.partition("-")[0] for name in shards} == {"train", "validation", "test"}
    assert all("-of-00003" in name for name in shards if name.startswith("train"))
    backwards = dataset._shards(entries[::-1])
    assert {name: {e.photo for e in mine} for name, mine in shards.items()} == {
        name: {e.photo for e in mine} for name, mine in backwards.items()
    }


@pytest.mark.training
@pytest.mark.django_db(transaction=True)
def test_tfrecords_are_read_by_tensorflow_and_a_withdrawal_rewrites_one_shard(recognizer, volunteer, tmp_path, settings):
    settings.STORE_DIR = Path(settings.VAR_DIR) / "store"  # where a process of its own finds it
    photos = collected(recognizer, volunteer, train=5, held=1)
    out, withdrawn = tmp_path / "records", photos[0]
    command = [sys.executable, "-c", STORY, str(out), str(withdrawn.pk)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = json.loads(done.stdout)
    assert {key: row[1] for key, row in before.items()} == {str(photo.pk): photo.label.slug for photo in photos}
    labels = json.loads((out / "labels.json").read_text())
    splits = {str(photo.pk): photo.split for photo in photos}
    for key, (number, name, file) in before.items():
        assert labels[number] == name and file.startswith(splits[key])
    assert set(before) - set(after) == {str(withdrawn.pk)}
    assert "21 written, 0 there already" in done.stderr and f"left out: {withdrawn.pk}, withdrawn" in done.stderr
    shards = [{row[2] for row in rows.values()} for rows in (before, after)]
    assert len(shards[0] - shards[1]) == len(shards[1] - shards[0]) == 1
    assert files(out) == {*shards[1], "labels.json"}


# ---- the command -------------------------------------------------------------------------------------------------
def test_the_command_says_what_it_wrote_and_what_it_left_out(recognizer, photos, volunteer, tmp_path, capsys):
    frozen = snapshot.take(recognizer=recognizer)
    gone(photos[0], volunteer)
    options = {"recognizer": "coins", "format": "folders", "snapshot": frozen.digest[:8]}
    call_command("export_dataset", str(tmp_path / "out"), **options)
    said = capsys.readouterr().out
    assert f"Snapshot {frozen.digest}: 3 test, 8 train, 3 validation photos in" in said
    assert "14 written, 0 there already, 0 removed." in said
    assert f"left out: {photos[0].pk}, withdrawn since the snapshot" in said
    with pytest.raises(CommandError, match="Name a new folder"):
        call_command("export_dataset", str(tmp_path), **options)
    with pytest.raises(CommandError, match="There is no recognizer"):
        call_command("export_dataset", str(tmp_path / "x"), **(options | {"recognizer": "other"}))
