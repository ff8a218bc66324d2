"""Keras' own guide to transfer learning, as written, on folders of photos: what a good engineer gets by hand.

https://keras.io/guides/transfer_learning/, its end-to-end example. What differs is what its text leaves to the reader: the
photos come by `image_dataset_from_directory`, as it says for photos of one's own, in a shuffled order as its own data is; there
are several classes, hence the sparse categorical loss; and the network and its size are those that the weights were made for.
`python -m bench._guide FOLDER WEIGHTS REPORT HEAD_EPOCHS ALL_EPOCHS`; FOLDER has train/ and val/, both with every label.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

SIZE = 224  # pixels; what ImageNet's weights of MobileNetV2 were made for
BATCH = 32
SEED = 7  # of the order of the photos


def main(folder: Path, weights: str, report: Path, head_epochs: int, all_epochs: int) -> None:
    """Write {"cpu_s": {"head", "all", "validation", "after"}, "history", "hits": {label/photo: bool}}.

    CPU seconds are this process's, since its start, at the end of each phase; "validation" is what `fit` spent on it, and
    "after" what came behind the guide's last line.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import keras

    keras.utils.set_random_seed(SEED)
    train, validation, names, paths = _photos(folder)
    model, base = _model(weights, len(names))
    watch = _watch()
    history = [_fit(model, keras.optimizers.Adam(), train, validation, head_epochs, watch)]
    head_s = time.process_time()
    base.trainable = True  # it was called with training=False: its batch statistics stay
    history.append(_fit(model, keras.optimizers.Adam(1e-5), train, validation, all_epochs, watch))
    all_s = time.process_time()
    hits = _hits(model, validation)
    cpu_s = {"head": head_s, "all": all_s, "validation": watch.cpu_s, "after": time.process_time() - all_s}
    keyed = {f"{Path(path).parent.name}/{Path(path).name}": hit for path, hit in zip(paths, hits, strict=True)}
    report.write_text(json.dumps({"cpu_s": cpu_s, "history": history, "hits": keyed}))


def _photos(folder: Path) -> tuple[Any, Any, list[str], list[str]]:
    """(training batches, validation batches, labels, the validation photos in their order)."""
    import keras

    def of(part: str, *, shuffle: bool) -> Any:
        return keras.utils.image_dataset_from_directory(
            folder / part, image_size=(SIZE, SIZE), batch_size=None, shuffle=shuffle, seed=SEED, verbose=False
        )

    train, validation = of("train", shuffle=True), of("val", shuffle=False)
    names, paths = list(train.class_names), list(validation.file_paths)
    if names != list(validation.class_names):
        raise ValueError("train/ and val/ have other folders than each other: make empty ones for labels without photos.")
    return _batched(train), _batched(validation), names, paths


def _batched(photos: Any) -> Any:
    return photos.cache().batch(BATCH).prefetch(buffer_size=10)


def _model(weights: str, classes: int) -> tuple[Any, Any]:
    """(model from pixels to logits, its frozen base)."""
    import keras
    from keras import layers

    from training.backbone import find_backbone
    from training.network import build_backbone

    backbone = find_backbone(weights, decision_s=1)
    base = build_backbone(backbone, SIZE, alpha=backbone.alpha, bn_momentum=0.999)
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(inputs)
    x = layers.Rescaling(scale=1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(classes)(x)), base


def _fit(model: Any, optimizer: Any, train: Any, validation: Any, epochs: int, watch: Any) -> dict[str, list[float]]:
    import keras

    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    done = model.fit(train, epochs=epochs, validation_data=validation, verbose=2, callbacks=[watch])
    return {name: [round(float(value), 4) for value in values] for name, values in done.history.items()}


def _watch() -> Any:
    """A callback whose `cpu_s` is what the process spent on validation."""
    import keras

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        cpu_s = began = 0.0

        def on_test_begin(self, logs: Any = None) -> None:
            self.began = time.process_time()

        def on_test_end(self, logs: Any = None) -> None:
            self.cpu_s += time.process_time() - self.began

    return Watch()


def _hits(model: Any, validation: Any) -> list[bool]:
    hits: list[bool] = []
    for images, truth in validation:
        hits += (model.predict_on_batch(images).argmax(axis=1) == truth.numpy()).tolist()
    return hits


if __name__ == "__main__":
    sys.stdout = sys.stderr  # Keras' progress is for whoever waits
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
