"""SNAPSHOT → people, as TFRecord: loads TensorFlow, so it is imported only where such a file is written."""

from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf


def example(jpeg: bytes, label: int, name: str, photo: str, sha256: str) -> bytes:
    """A serialised tf.train.Example with the features "image" (JPEG), "label" (index in labels.json), "label/name", "photo"
    (UUID) and "sha256" (of the photo's stored original)."""
    feature = {
        "image": _bytes(jpeg),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "label/name": _bytes(name.encode()),
        "photo": _bytes(photo.encode()),
        "sha256": _bytes(sha256.encode()),
    }
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def write_records(path: Path, records: Iterable[bytes]) -> int:
    """Write one file; returns how many records it has."""
    count = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
            count += 1
    return count


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
