"""FINE-TUNE, the network: which weights there are, and that cutting it changes nothing."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest

from training import backbone
from training.backbone import find_backbone, width_of
from training.errors import ForeignWeights, MissingWeights

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = [(0.35, 112, 1280), (0.5, 160, 1280), (0.75, 240, 1280), (1.0, 320, 1280), (1.3, 416, 1664), (1.4, 448, 1792)]


def weights_file(path: Path, last: tuple[int, int] = (112, 1280), arrays: int = 260) -> Path:
    """As many arrays as MobileNetV2 has, the last convolution among them."""
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d_34/vars/0", data=np.zeros((1, 1, *last), np.float32))
        for number in range(arrays - 1):
            file.create_dataset(f"layers/other_{number}/vars/0", data=np.zeros(8, np.float32))
    return path


# ---- which weights -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("alpha", "channels", "features"), WIDTHS)
def test_the_width_follows_from_the_file(tmp_path: Path, alpha: float, channels: int, features: int):
    assert width_of(weights_file(tmp_path / "w.h5", (channels, features))) == alpha


def test_a_file_is_named_by_its_digest(tmp_path: Path):
    found = find_backbone(str(weights_file(tmp_path / "w.weights.h5")), decision_s=1)
    assert (found.alpha, found.knows_photos, len(found.digest), found.note) == (0.35, True, 64, "")
    other = find_backbone(str(weights_file(tmp_path / "x.weights.h5", (320, 1280))), decision_s=1)
    assert other.digest != found.digest


def test_none_means_the_starter_that_comes_with_the_program():
    found = find_backbone("none", decision_s=1)
    assert (found.source, found.weights, found.alpha) == ("none", str(backbone.STARTER_FILE), 0.35)
    assert not found.knows_photos


def test_random_means_a_small_network_without_weights():
    found = find_backbone("random", decision_s=1)
    assert (found.source, found.weights, found.alpha, found.knows_photos) == ("random", None, 0.35, False)


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path):
    with pytest.raises(MissingWeights, match=r"nowhere\.h5.*imagenet.*none"):
        find_backbone(str(tmp_path / "nowhere.h5"), decision_s=1)


def foreign_files(folder: Path) -> dict[str, Path]:
    text = folder / "text.h5"
    text.write_text("no weights")
    whole = weights_file(folder / "whole.h5")
    truncated = folder / "truncated.h5"
    truncated.write_bytes(whole.read_bytes()[:2000])
    return {
        "text": text,
        "truncated": truncated,
        "with its classifier": weights_file(folder / "top.h5", arrays=262),
        "another network": weights_file(folder / "other.h5", (960, 320)),
    }


@pytest.mark.parametrize("kind", ["text", "truncated", "with its classifier", "another network"])
def test_a_foreign_file_is_refused_with_the_way_out(tmp_path: Path, kind: str):
    with pytest.raises(ForeignWeights, match="include_top=False"):
        find_backbone(str(foreign_files(tmp_path)[kind]), decision_s=1)


# ---- downloading -------------------------------------------------------------------------------------------------
@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes, int, float], str]]:
    """serve(body, status, delay in seconds) stands in for Keras' server, on loopback; the cache lies in tmp_path."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    release = threading.Event()
    servers: list[HTTPServer] = []

    def serve(body: bytes, status: int = 200, announced: int | None = None, hang: bool = False) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if hang:
                    release.wait(10)
                self.send_response(status)
                self.send_header("Content-Length", str(announced or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/weights.h5"
        monkeypatch.setattr(backbone, "IMAGENET_URL", url)
        return url

    yield serve
    release.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_imagenet_weights_are_downloaded_once(tmp_path: Path, served: Callable[..., str]):
    served(weights_file(tmp_path / "imagenet.h5", (320, 1280)).read_bytes())
    found = find_backbone("imagenet", decision_s=5)
    assert (found.source, found.alpha, found.note) == ("imagenet", 1.0, "")
    assert Path(found.weights or "").parent == tmp_path / "keras" / "models"
    served(b"", 404)
    assert find_backbone("imagenet", decision_s=5) == found


def test_a_server_that_refuses_means_the_starter_in_one_sentence(served: Callable[..., str]):
    served(b"", 404)
    found = find_backbone("imagenet", decision_s=5)
    assert (found.source, found.weights) == ("none", str(backbone.STARTER_FILE))
    assert found.note.startswith("ImageNet weights cannot be downloaded")
    assert found.note.count(".") == 1


def test_a_server_that_hangs_is_given_up_within_the_decision_time(served: Callable[..., str]):
    served(b"late", hang=True)
    started = time.monotonic()
    found = find_backbone("imagenet", decision_s=0.3)
    assert time.monotonic() - started < 2
    assert "cannot be downloaded" in found.note


def test_a_name_that_does_not_resolve_means_from_scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbone, "IMAGENET_URL", "http://127.0.0.1:1/weights.h5")  # nobody listens there
    assert find_backbone("imagenet", decision_s=2).source == "none"


def test_a_download_that_breaks_off_leaves_nothing_behind(tmp_path: Path, served: Callable[..., str]):
    served(b"half", announced=4000)
    assert find_backbone("imagenet", decision_s=5).source == "none"
    assert list((tmp_path / "keras" / "models").iterdir()) == []


def test_finding_a_backbone_loads_no_tensorflow():
    code = (
        "import sys; from training.network import find_backbone; find_backbone('none', decision_s=1);"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


# ---- the network itself ------------------------------------------------------------------------------------------
@pytest.mark.training
def test_both_weight_formats_load_whatever_the_file_is_called(tmp_path: Path):
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    from training.network import build_backbone

    source = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    source.save_weights(tmp_path / "a.weights.h5")
    new = (tmp_path / "a.weights.h5").rename(tmp_path / "new.h5")
    old = tmp_path / "old.weights.h5"
    with h5py.File(old, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, source)
    for path in (new, old):
        found = find_backbone(str(path), decision_s=1)
        loaded = build_backbone(found, 32, alpha=found.alpha, bn_momentum=0.9)
        for mine, theirs in zip(loaded.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.training
def test_the_frozen_part_and_the_top_together_are_the_whole_network_and_scratch_has_quick_statistics():
    import keras

    from training.export import export_float
    from training.inference import Runner
    from training.network import assemble, build_backbone, eye_of, head, map_of, top_of, trunk_of

    network = build_backbone(find_backbone("none", decision_s=1), 64, alpha=0.35, bn_momentum=0.9)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3)).astype(np.float32)
    model, embedder = assemble(network, head(1280, 4, dropout=0.5, seed=1))
    activations = Runner(export_float(trunk_of(network, "block_12_add"))).run_all(images)
    assert activations.shape == (3, 4, 4, 32)
    rest = Runner(export_float(top_of(network, "block_12_add")))
    np.testing.assert_allclose(rest.run(activations[1]), embedder(images)[1], rtol=1e-3, atol=1e-5)
    centre, features = Runner(export_float(eye_of(network, "block_12_add"))).outputs(images[1])
    np.testing.assert_allclose(centre, activations[1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(features, embedder(images)[1], rtol=1e-3, atol=1e-5)
    for boundary, given in (("block_12_add", activations), ("", images)):
        seen = map_of(network, boundary)(given)
        assert seen.shape == (3, 2, 2, 1280)
        np.testing.assert_allclose(np.mean(seen, axis=(1, 2)), embedder(images), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(top_of(network, "block_12_add")(activations), embedder(images), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.sum(model(images), axis=1), 1, atol=1e-5)
