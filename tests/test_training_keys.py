"""The key set: made by itself on one machine, by people elsewhere; what the command and the checks say about it."""

import json
import multiprocessing
from pathlib import Path

import pytest
import time_machine
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from clients.trust import Trust
from training import keys, keyset
from training.errors import KeySetProblem

DAY = 86_400
NOW = 1_795_400_000


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def embedded(settings, tmp_path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    settings.SIGNING_KEY_FILE = settings.VAR_DIR / "keys" / "manifest.jwk"
    settings.KEYS_FILE = settings.VAR_DIR / "keys" / "keys.json"
    return settings.KEYS_FILE


@pytest.fixture
def offline(settings, tmp_path, embedded) -> dict[str, Path]:
    """A root that the server never sees, an online key, and the set that the one signed for the other."""
    files = {name: tmp_path / f"{name}.jwk" for name in ("root", "online")} | {"keys": tmp_path / "keys.json"}
    for kind in ("root", "online"):
        call_command("keys", "make", kind, str(files[kind]))
    call_command("keys", "sign", root=files["root"], online=[files["online"]], keys=files["keys"])
    settings.SIGNING_KEY_FILE, settings.KEYS_FILE = files["online"], files["keys"]
    return files


def problems() -> list[str]:
    return [message.id for message in run_checks() if message.id in ("photorally.E151", "photorally.E155", "photorally.W155")]


def followed() -> int:
    """The version of the set as a phone without a history follows it."""
    document = json.loads(keys.published())
    _, found = Trust.pinned(document["root"]).follow(document, clock=keys.time.time())
    found.signer(keys.signing_key().thumbprint(), now=keys.time.time())
    return found.version


def test_one_machine_needs_no_step(embedded):
    assert (followed(), problems()) == (1, [])
    assert keys.embedded_root().stat().st_mode & 0o777 == 0o600
    assert '"d"' not in keys.published()
    assert keys.published() == embedded.read_text()


def _publish(folder: str, queue) -> None:
    queue.put(keys.published())


def test_processes_that_start_together_agree_on_the_first_set(embedded):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_publish, args=("", queue)) for _ in range(4)]
    for process in processes:
        process.start()
    assert len({queue.get(timeout=30) for _ in processes}) == 1
    for process in processes:
        process.join()


def test_the_embedded_set_is_renewed_before_it_ends_and_its_version_rises(embedded, clock, settings):
    assert followed() == 1
    clock.shift(settings.KEYS_VALID_S // 2 - 1)
    assert followed() == 1
    clock.shift(1)
    assert (followed(), problems()) == (2, [])
    for _ in range(8):  # four years: the key's own time is prolonged too
        clock.shift(settings.KEYS_VALID_S - 1)
        followed()
    assert problems() == []


def test_the_program_takes_no_revocation_back(embedded, settings):
    followed()
    kid = keys.signing_key().thumbprint()
    call_command("keys", "revoke", kid)
    assert kid in keys.present()[1].set.revoked
    assert problems() == ["photorally.E155"]
    with pytest.raises(CommandError, match="stays so"):
        call_command("keys", "sign", online=[settings.SIGNING_KEY_FILE])


def test_a_root_taken_offline_is_not_replaced_by_the_program(embedded, clock, settings, tmp_path):
    followed()
    root = keys.embedded_root().rename(tmp_path / "usb-stick.jwk")
    clock.shift(settings.KEYS_VALID_S - 10 * DAY)
    assert (followed(), problems()) == (1, ["photorally.W155"])
    call_command("keys", "sign", root=root)
    assert (followed(), problems()) == (2, [])
    assert not keys.embedded_root().exists()


def test_a_set_signed_elsewhere_works_without_its_root(offline, settings):
    assert (followed(), problems()) == (1, [])
    assert not keys.embedded_root().exists()


@pytest.mark.parametrize(("days", "expected"), [(149, []), (150, ["photorally.W155"]), (180, ["photorally.E155"])])
def test_the_check_tells_in_time_that_a_set_ends(offline, clock, days, expected):
    clock.shift(days * DAY)
    assert problems() == expected


def test_the_check_tells_that_set_and_signing_key_do_not_fit(offline, settings, tmp_path):
    call_command("keys", "make", "online", str(tmp_path / "other.jwk"))
    settings.SIGNING_KEY_FILE = tmp_path / "other.jwk"
    assert problems() == ["photorally.E155"]


@pytest.mark.parametrize("spoil", ["absent", "noise", "another root", "a changed set"])
def test_a_file_that_no_phone_would_follow_is_not_served(offline, spoil):
    file = offline["keys"]
    content = json.loads(file.read_text())
    if spoil == "another root":
        content["root"]["key"] = keyset.public(keys.read_key(offline["online"]))
    elif spoil == "a changed set":
        content["keys"] = content["keys"].replace(".", ".e", 1)
    file.write_text("noise" if spoil == "noise" else json.dumps(content))
    if spoil == "absent":
        file.unlink()
    with pytest.raises(KeySetProblem):
        keys.published()
    assert problems() == ["photorally.E155"]


def test_the_old_online_key_stays_good_until_all_it_signed_has_expired(offline, tmp_path, settings):
    old = keys.signing_key().thumbprint()
    call_command("keys", "make", "online", str(tmp_path / "new.jwk"))
    call_command("keys", "rotate", "online", str(tmp_path / "new.jwk"), root=offline["root"])
    assert keys.present()[1].set.key(old)["not_after"] == NOW + settings.KEY_OVERLAP_S
    assert settings.KEY_OVERLAP_S >= settings.MANIFEST_VALID_S + DAY
    settings.SIGNING_KEY_FILE = tmp_path / "new.jwk"
    assert (followed(), problems()) == (2, [])


def test_a_new_root_signs_and_the_old_one_no_longer(offline, tmp_path):
    call_command("keys", "make", "root", str(tmp_path / "root-2.jwk"))
    call_command("keys", "rotate", "root", str(tmp_path / "root-2.jwk"), root=offline["root"])
    assert (followed(), keys.present()[1].root_version) == (2, 2)
    with pytest.raises(CommandError, match="the key given is"):
        call_command("keys", "sign", root=offline["root"])
    call_command("keys", "sign", root=tmp_path / "root-2.jwk")
    assert followed() == 3


def test_show_says_what_phones_hold_against_the_server(offline, capsys):
    call_command("keys", "show")
    said = capsys.readouterr().out
    kid = keys.signing_key().thumbprint()
    assert f"key {kid}: signs until" in said and "(signs now)" in said and "holds until 2027" in said
    assert '"d"' not in said and "lies on this server" not in said


def test_keys_that_have_signed_are_never_overwritten(offline):
    with pytest.raises(CommandError, match="never overwritten"):
        call_command("keys", "make", "root", str(offline["root"]))


def test_an_unknown_key_cannot_be_revoked_by_a_slip(offline):
    with pytest.raises(CommandError, match="lists no key"):
        call_command("keys", "revoke", "typo", root=offline["root"])
