"""INBOX: files of addresses: each line is taken or refused with its reason, twice is once, and no cell is a formula."""

import csv
import io
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from collector.models import Recognizer
from config.duties import work_once
from newsletter import reader_files, suppression
from newsletter.errors import ConsentMissing, UnreadableFile
from newsletter.models import Request, Subscriber
from newsletter.reader_files import harmless, lines_of, without_mark
from tests.test_newsletter_subscriptions import link_in, press

CONSENT = "sign-up sheet of the summer fair, 12 July 2026"


def take_in(text: str | bytes, recognizer: Recognizer, **more) -> reader_files.Imported:
    data = text.encode() if isinstance(text, str) else text
    return reader_files.take_in(file=io.BytesIO(data), recognizer=recognizer, **{"consent": CONSENT, **more})


@pytest.mark.django_db
def test_imported_addresses_are_asked_and_confirm_like_all_others(recognizer, sink) -> None:
    done = take_in("email,weekly\nAda@example.org,yes\ngrace@example.org,0\n", recognizer)
    assert (done.taken, done.known, done.refused) == (2, 0, [])
    rows = {row.email: row for row in Subscriber.objects.all()}
    assert {row.state for row in rows.values()} == {"pending"} and {row.consent for row in rows.values()} == {CONSENT}
    ada = rows["ada@example.org"]
    assert (ada.wants_daily, ada.wants_weekly) == (False, True)
    work_once()
    assert sorted(sink.recipients) == ["ada@example.org", "grace@example.org"]
    mail = dict(sink.taken)["ada@example.org"]
    assert f"We were told that you agreed to it: {CONSENT}" in mail.get_content()
    press(Client(), link_in(mail))
    ada.refresh_from_db()
    assert ada.state == "confirmed" and ada.wants_weekly


@pytest.mark.django_db
def test_importing_again_asks_and_changes_nothing(recognizer) -> None:
    text = "email\nada@example.org\nADA@example.org\ngrace@example.org\n"
    assert (take_in(text, recognizer).taken, take_in(text, recognizer).known) == (2, 3)
    assert Subscriber.objects.count() == Request.objects.count() == 2


@pytest.mark.django_db
def test_an_import_that_was_broken_off_goes_on_behind_its_last_batch(recognizer, monkeypatch) -> None:
    monkeypatch.setattr(reader_files, "BATCH", 2)
    text = "email\n" + "".join(f"reader{number}@example.org\n" for number in range(5))

    class Broken(io.BytesIO):
        def readline(self, size: int = -1) -> bytes:
            line = super().readline(size)
            if b"reader3" in line:
                raise OSError("the disk went away")
            return line

    with pytest.raises(OSError, match="went away"):
        reader_files.take_in(file=Broken(text.encode()), recognizer=recognizer, consent=CONSENT)
    assert Subscriber.objects.count() == 2
    done = take_in(text, recognizer)
    assert (done.taken, done.known) == (3, 2) and Request.objects.count() == 5


@pytest.mark.django_db
def test_confirmed_ones_are_asked_nothing_and_nobody_is_taken_without_a_consent(recognizer) -> None:
    for consent in ("", "  ", "yes"):
        with pytest.raises(ConsentMissing):
            take_in("email\nada@example.org\n", recognizer, consent=consent, confirmed=True)
    take_in("email\nada@example.org\n", recognizer, confirmed=True)
    reader = Subscriber.objects.get()
    assert (reader.state, reader.consent) == ("confirmed", CONSENT) and reader.confirmed_at and not Request.objects.exists()


@pytest.mark.django_db
def test_who_left_bounced_complained_or_was_erased_is_refused_with_the_reason(recognizer) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="left@example.org", state="left")
    for reason in ("bounce", "complaint", "erased"):
        suppression.suppress(email=f"{reason}@example.org", reason=reason)
    text = "email\n" + "".join(f"{name}@example.org\n" for name in ("left", "bounce", "complaint", "erased", "new"))
    done = take_in(text, recognizer, confirmed=True)
    assert done.taken == 1 and [number for number, _ in done.refused] == [2, 3, 4, 5]
    assert "left the newsletter" in done.refused[0][1] and "reported a mail as spam" in done.refused[2][1]
    assert Subscriber.objects.get(email="left@example.org").state == "left"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nobody", "not a mail address"),
        (b",1", "not a mail address"),
        (b'"ada@example.org', "not CSV"),
        (b"\xff@example.org", "not UTF-8"),
        (b"a@example.org,perhaps", "yes or no"),
        (b"a@example.org,1,left", "its state in this file is not confirmed but left"),
        (b"x" * 2500 + b"@example.org", "longer than 2000"),
        (b"a\x00b@example.org", "not a mail address"),
        (b"a@example.org\rBcc: b@example.org", "not"),
    ],
)
def test_a_wrong_line_is_refused_by_number_and_costs_no_other(recognizer, line: bytes, reason: str) -> None:
    done = take_in(b"email,daily,state\nada@example.org,1\n" + line + b"\n\ngrace@example.org,1,confirmed\n", recognizer)
    assert done.taken == 2 and len(done.refused) == 1, done
    assert done.refused[0][0] == 3 and reason in done.refused[0][1]


@pytest.mark.django_db
def test_what_is_no_list_of_addresses_is_refused_whole(recognizer, settings) -> None:
    for data in (b"", b"name,phone\nAda,1\n", "email\nada@example.org\n".encode("utf-16"), b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(UnreadableFile, match="one of them must be email"):
            take_in(data, recognizer)
    with pytest.raises(UnreadableFile, match="more than 8,000 bytes"):
        take_in(b"email\n" + b"x" * 100_000, recognizer)
    settings.READERS_CSV_MAX_BYTES = 20
    with pytest.raises(UnreadableFile, match="more than 20 bytes"):
        take_in("email\nada@example.org\ngrace@example.org\n", recognizer)
    assert not Subscriber.objects.exists()


@pytest.mark.django_db
def test_a_mark_of_the_byte_order_that_spreadsheets_write_is_taken(recognizer) -> None:
    assert take_in("\ufeffemail\r\nada@example.org\r\n", recognizer).taken == 1


@given(st.text(max_size=30))
def test_no_cell_that_goes_out_is_a_formula_and_reading_takes_the_mark_off(cell: str) -> None:
    assert not harmless(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert without_mark(harmless(cell)) == cell


@pytest.mark.django_db
def test_an_export_holds_everybody_and_imports_elsewhere_as_it_was(recognizer) -> None:
    for email, state in (("+sum@example.org", "confirmed"), ("ada@example.org", "confirmed"), ("left@example.org", "left")):
        Subscriber.objects.create(recognizer=recognizer, email=email, state=state, wants_weekly=True, consent="=1+1")
    text = "".join(lines_of(recognizer.subscribers.all()))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["email"] for row in rows] == ["'+sum@example.org", "ada@example.org", "left@example.org"]
    assert {row["consent"] for row in rows} == {"'=1+1"} and rows[0]["weekly"] == "1" and rows[0]["asked_at"]
    other = Recognizer.objects.create(slug="stamps", name="Stamps")
    done = take_in(text, other)
    assert done.taken == 2 and [number for number, _ in done.refused] == [4]
    assert set(other.subscribers.values_list("email", "wants_daily", "wants_weekly")) == {
        ("+sum@example.org", True, True),
        ("ada@example.org", True, True),
    }


@pytest.mark.django_db
def test_the_command_imports_exports_erases_and_lifts(recognizer, tmp_path: Path, capsys) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("email\nada@example.org\nnobody\n")
    call_command("subscribers", "import", str(file), "--recognizer", "coins", "--consent", CONSENT)
    said = capsys.readouterr()
    assert said.out == "1 asked by mail to confirm, 0 known before, 1 refused.\n" and "line 3: not a mail address" in said.err
    call_command("subscribers", "export", "--recognizer", "coins", "--to", str(out))
    assert "ada@example.org,pending" in out.read_text() and out.stat().st_mode & 0o077 == 0
    call_command("subscribers", "erase", "Ada@example.org")
    assert not Subscriber.objects.exists() and "ada" not in capsys.readouterr().out.lower()
    call_command("subscribers", "lift", "ada@example.org")
    assert suppression.standing("ada@example.org") is None
    with pytest.raises(CommandError, match="There is no recognizer 'none'"):
        call_command("subscribers", "export", "--recognizer", "none")
    with pytest.raises(CommandError, match="No such file"):
        call_command("subscribers", "import", str(tmp_path / "no"), "--recognizer", "coins", "--consent", CONSENT)


@pytest.mark.django_db
def test_the_admin_exports_and_erases_and_a_looker_does_neither(recognizer, client) -> None:
    reader = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")

    def act(action: str):
        return client.post("/admin/newsletter/subscriber/", {"action": action, "_selected_action": [str(reader.pk)]})

    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_subscriber"))
    client.force_login(user)
    for action in ("export", "erase", "suppress"):
        assert b"ada@example.org,confirmed" not in b"".join(act(action))
    assert Subscriber.objects.get().state == "confirmed"
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="newsletter"))
    assert "ada@example.org,confirmed,1" in b"".join(act("export").streaming_content).decode()
    assert client.post(f"/admin/newsletter/subscriber/{reader.pk}/delete/", {"post": "yes"}).status_code == 403
    act("erase")
    assert not Subscriber.objects.exists()
    for page in ("subscriber", "suppression", "mailevent"):
        assert client.get(f"/admin/newsletter/{page}/").status_code == 200
