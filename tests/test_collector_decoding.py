"""INTAKE, in the worker: strangers' pixels are decoded in a child process; whatever happens to it, the worker goes on."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from collector import decoder, decoding, develop
from collector.decoding import DoesNotDecode, NoDecoder, derive
from collector.strip import strip
from tests.drawing import jpeg, picture, png, webp

linux = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: reads /proc, which only Linux has")


@pytest.fixture(autouse=True)
def own_child() -> Iterator[None]:
    decoding.retire()
    yield
    decoding.retire()


def child() -> int:
    running = decoding._decoder
    assert running
    return running.process.pid


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def shown(data: bytes) -> Image.Image:
    """The view as the child makes it."""
    return Image.open(io.BytesIO(decoder.derive(data, 1)[0])).convert("RGB")


def test_one_child_serves_photo_after_photo_and_broken_ones_do_not_end_it() -> None:
    first = derive(jpeg(1), 1)
    pid = child()
    whole = strip(jpeg(2)).data
    with pytest.raises(DoesNotDecode, match=r"does not decode \(OSError: image file is truncated"):
        derive(whole[: len(whole) // 2], 1)
    with pytest.raises(DoesNotDecode, match="UnidentifiedImageError"):
        derive(b"", 1)
    assert derive(png(3), 1) and derive(webp(3), 6)
    assert derive(jpeg(1), 1) == first
    assert child() == pid


@linux
def test_the_child_has_no_secrets_no_files_and_limits(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://user:password@host/db")
    derive(jpeg(1), 1)
    process = Path(f"/proc/{child()}")
    assert "password" not in (process / "environ").read_text()
    assert sorted(path.name for path in (process / "fd").iterdir()) == ["0", "1", "2"]
    limits = (process / "limits").read_text().splitlines()
    hard = {line[:26].strip(): line[26:].split()[1] for line in limits[1:]}
    assert hard["Max open files"] == "3"
    assert hard["Max file size"] == hard["Max core file size"] == hard["Max processes"] == "0"
    idle = 64 * 2**20  # bytes; more than Python and Pillow take
    assert settings.DECODE_MEMORY_BYTES < int(hard["Max address space"]) < settings.DECODE_MEMORY_BYTES + idle


@linux
def test_a_photo_that_wants_too_much_memory_is_broken_and_the_child_lives(settings: Any) -> None:
    settings.DECODE_MEMORY_BYTES = 40 * 2**20
    derive(jpeg(1), 1)
    pid = child()
    with pytest.raises(DoesNotDecode, match="memory"):
        derive(encoded(Image.new("RGB", (5000, 4000))), 1)
    assert derive(jpeg(1), 1) and child() == pid


def test_a_picture_larger_than_allowed_is_broken_whoever_let_it_in(settings: Any) -> None:
    settings.PHOTO_MAX_PIXELS = 10_000
    with pytest.raises(DoesNotDecode, match="DecompressionBomb"):
        derive(jpeg(1, size=(120, 100)), 1)


def test_a_photo_that_eats_the_processor_is_broken_and_the_next_one_gets_a_fresh_child(settings: Any) -> None:
    settings.DECODE_CPU_S = 1
    derive(jpeg(1), 1)
    pid = child()
    flat = strip(encoded(Image.effect_noise((2400, 2400), 60), "JPEG", progressive=True)).data
    scan = flat.rindex(b"\xff\xda")
    with pytest.raises(DoesNotDecode, match="within 1 s of CPU time"):
        derive(flat[:-2] + flat[scan:-2] * 90 + b"\xff\xd9", 1)
    assert derive(jpeg(1), 1) and child() != pid


def test_a_child_that_hangs_is_killed_in_time(settings: Any) -> None:
    settings.DECODE_WALL_S = 1
    derive(jpeg(1), 1)
    pid = child()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DoesNotDecode, match="within 1 s"):
        derive(jpeg(1), 1)
    assert time.monotonic() - began < 5
    assert derive(jpeg(1), 1) and child() != pid


def test_a_child_that_somebody_killed_costs_no_photo() -> None:
    derive(jpeg(1), 1)
    os.kill(child(), signal.SIGKILL)  # while it has nothing to do
    assert derive(jpeg(2), 1)

    os.kill(child(), signal.SIGSTOP)  # and in the middle of a photo
    pid, working = child(), decoding._decoder
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(derive(jpeg(3), 1)))
    thread.start()
    until(lambda: working and working.photos == 2)
    os.kill(pid, signal.SIGKILL)
    thread.join(timeout=20)
    assert results == [derive(jpeg(3), 1)] and child() != pid


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: Any) -> Callable[[str], Path]:
    """A child that notes its start, says that it is ready and then does what it is told with its first photo."""

    def make(does: str) -> Path:
        starts = tmp_path / "starts"
        (tmp_path / "child.py").write_text(
            f"import os, signal, sys\nopen({str(starts)!r}, 'a').write('x')\n"
            f"sys.stdout.write('R')\nsys.stdout.flush()\nsys.stdin.read(1)\n{does}\n"
        )
        monkeypatch.setattr(decoding, "CHILD", tmp_path / "child.py")
        return starts

    return make


@pytest.mark.parametrize(
    ("does", "starts", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", 1, "its decoder crashed: SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 2, "its decoder ended twice: SIGKILL"),
        ("sys.exit(3)", 2, "its decoder ended twice: status 3"),
        ("sys.stdout.buffer.write(b'\\x01' + b'\\xff' * 16)", 2, "its decoder ended twice"),
    ],
)
def test_a_death_by_the_file_is_told_from_one_that_may_be_bad_luck(stand_in: Any, does: str, starts: int, why: str) -> None:
    began = stand_in(does)
    with pytest.raises(DoesNotDecode, match=why):
        derive(jpeg(1), 1)
    assert len(began.read_text()) == starts


@pytest.mark.django_db
def test_a_photo_that_crashes_its_decoder_is_broken_at_the_first_attempt(stand_in: Any, live_photo: Any) -> None:
    photo = live_photo(state="received")
    stand_in("os.kill(os.getpid(), signal.SIGSEGV)")
    assert develop.develop(photo_id=photo.pk)
    photo.refresh_from_db()
    assert (photo.state, photo.attempts) == ("broken", 1) and "SIGSEGV" in photo.problem


@pytest.mark.django_db
def test_a_machine_that_can_start_no_decoder_costs_the_photo_no_attempt(
    live_photo: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    photo = live_photo(state="received")
    monkeypatch.setattr(decoding, "CHILD", tmp_path / "missing.py")
    with pytest.raises(NoDecoder):
        develop.develop(photo_id=photo.pk)
    photo.refresh_from_db()
    assert (photo.state, photo.attempts) == ("received", 0)
    assert develop.undeveloped() == []  # not before its lease has run out


def test_a_child_is_replaced_when_it_has_done_its_share(settings: Any) -> None:
    settings.DECODER_PHOTOS = 2
    pids = []
    for _ in range(5):
        derive(jpeg(1, size=(64, 64)), 1)
        pids.append(child())
    assert len(set(pids)) == 3 and pids[0] == pids[1] and pids[2] == pids[3]


def test_threads_take_turns() -> None:
    photos = [jpeg(seed, size=(200, 150)) for seed in range(4)]
    expected = [derive(photo, 1) for photo in photos]
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        results[number] = [derive(photos[number], 1) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert results == {number: [expected[number]] * 5 for number in range(4)}


def test_a_forked_worker_leaves_its_parents_child_alone() -> None:
    derive(jpeg(1), 1)
    pid = child()
    forked = os.fork()
    if not forked:
        os._exit(0 if decoding._decoder is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    assert derive(jpeg(1), 1) and child() == pid


@linux
def test_the_child_ends_with_its_worker() -> None:
    code = (
        "import django, signal, os; django.setup()\n"
        "from collector import decoding; from tests.drawing import jpeg\n"
        "decoding.derive(jpeg(1), 1); print(decoding._decoder.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    status = Path(f"/proc/{int(done.stdout)}/status")
    until(lambda: not status.exists() or "State:\tZ" in status.read_text())


def test_the_hash_is_imagehashs() -> None:
    flat = [Image.new("RGB", (320, 240), colour) for colour in ("black", "white", "#345678")]
    for image in [*(picture(seed, (320, 240)) for seed in range(60)), *flat, Image.linear_gradient("L")]:
        assert f"{decoder.perceptual_hash(image):016x}" == str(imagehash.phash(image))


def near(picture: Image.Image, expected: tuple[int, ...], at: tuple[int, int] = (30, 30)) -> bool:
    found = picture.getpixel(at)
    return all(abs(a - b) <= 6 for a, b in zip(found, expected, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [64, 2200])  # as it is, and reduced
def test_every_kind_of_pixel_looks_as_it_should(side: int) -> None:
    size = (side, side)
    grey16 = Image.fromarray(np.full(size, 0x8040, np.uint16))
    assert near(shown(encoded(grey16)), (128, 128, 128))
    assert near(shown(encoded(Image.new("1", size, 1))), (255, 255, 255))
    assert near(shown(encoded(Image.new("LA", size, (0, 128)))), (127, 127, 127))
    assert near(shown(encoded(Image.new("RGBA", size, (255, 0, 0, 0)))), (255, 255, 255))
    assert near(shown(encoded(Image.new("RGBA", size, (200, 0, 0, 255)), "WEBP", lossless=True)), (200, 0, 0))
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert near(shown(encoded(palette)), (10, 200, 30))
    assert near(shown(encoded(palette, transparency=1)), (255, 255, 255))
    assert near(shown(encoded(Image.new("RGB", size, (9, 9, 9)), transparency=(9, 9, 9))), (255, 255, 255))
    assert near(shown(encoded(Image.new("CMYK", size, (0, 255, 255, 0)), "JPEG", quality=95)), (255, 0, 0))
    assert near(shown(encoded(Image.new("L", size, 77), "JPEG")), (77, 77, 77))


def test_what_is_transparent_does_not_colour_what_is_not() -> None:
    image = Image.new("RGBA", (2400, 2400), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 1201, 2400))
    assert near(shown(encoded(image)), (255, 0, 0), (300, 300))
    red, green, blue = shown(encoded(image)).getpixel((600, 300))  # type: ignore[misc]  # the pixels on the border
    assert red > 200 and abs(green - blue) <= 8


@pytest.mark.parametrize(
    ("size", "view"), [((4032, 3024), (1008, 756)), ((3024, 4032), (756, 1008)), ((4624, 3468), (1024, 768))]
)
def test_a_jpeg_is_decoded_at_the_scale_of_its_view(size: tuple[int, int], view: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size), "JPEG")
    assert shown(data).size == view
