"""INBOX: what is said to a mail server, word by word, and what a failure tells of how far a message got."""

import os
import smtplib
import socket
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured

from newsletter.transport import FolderTransport, Lost, Refused, SmtpTransport, Unreachable, server, transport


def test_a_message_written_before_is_not_written_again(tmp_path) -> None:
    over = FolderTransport(tmp_path)
    over.open()
    for body in (b"first", b"second"):
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=body)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_folder_that_cannot_be_written_is_told_apart_from_a_sent_mail(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable):
        FolderTransport(tmp_path / "file" / "mail").open()
    over = FolderTransport(tmp_path / "gone")
    with pytest.raises(Lost) as lost:
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=b"x")
    assert not lost.value.handed_over


def test_the_mail_servers_address_is_read_strictly(settings) -> None:
    found = server("smtp://us%40er:p%2Fw@mail.example.org:587?starttls=1")
    assert (found.host, found.port, found.user, found.password, found.tls, found.starttls) == (
        "mail.example.org",
        587,
        "us@er",
        "p/w",
        False,
        True,
    )
    assert server("smtps://mail.example.org").port == 465 and server("smtps://mail.example.org").tls
    for bad in ("smtp://", "smtp://host:port", "http://host"):
        with pytest.raises(ImproperlyConfigured, match="smtp://user:password@host"):
            server(bad)
    settings.EMAIL_URL = "smtp://mail.example.org"
    assert isinstance(transport(), SmtpTransport)


def test_a_server_that_wants_no_such_login_is_unreachable_not_a_refusal(sink, settings) -> None:
    settings.EMAIL_URL = settings.EMAIL_URL.replace("smtp://", "smtp://user:wrong@")
    with pytest.raises(Unreachable):
        transport().open()


def test_a_server_that_takes_commands_at_once_gets_them_at_once_and_nobody_an_empty_message(settings) -> None:
    """The peer answers nothing before it has MAIL, RCPT and DATA; it takes DATA even without a recipient (RFC 2920, 3.1)."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    heard: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        peer.settimeout(5)  # seconds; a sender that says less than is waited for must not hang the test
        with peer, peer.makefile("rwb") as lines:

            def hear(count: int, *answers: bytes) -> None:
                heard.extend(lines.readline() for _ in range(count))
                lines.writelines(answer + b"\r\n" for answer in answers)
                lines.flush()

            hear(0, b"220 hello")
            hear(1, b"250-peer", b"250 PIPELINING")
            hear(3, b"250 fine", b"550 nobody", b"354 go on")
            hear(1, b"554 for whom?")
            hear(1, b"250 forgotten")
            hear(3, b"250 fine", b"250 fine", b"354 go on")
            hear(2, b"250 taken")
            hear(1, b"221 bye")

    thread = threading.Thread(target=serve)
    thread.start()
    settings.MAIL_TIMEOUT_S = 5
    over = transport()
    over.open()
    with pytest.raises(Refused, match="550 nobody"):
        over.send(name="one", sender="a@example.org", recipient="gone@example.org", data=b"first")
    assert over.send(name="two", sender="a@example.org", recipient="b@example.org", data=b"second").answer == "250 taken"
    over.close()
    thread.join()
    listener.close()
    envelope = b"MAIL FROM:<a@example.org>\r\n"
    assert heard[1:6] == [envelope, b"RCPT TO:<gone@example.org>\r\n", b"DATA\r\n", b".\r\n", b"rset\r\n"]
    assert heard[6:] == [envelope, b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n", b"second\r\n", b".\r\n", b"quit\r\n"]


@pytest.mark.parametrize(
    "sender, recipient",
    [
        ("a@example.org\r\nRCPT TO:<all@example.org>", "b@example.org"),
        ("a@example.org", "b@example.org\nDATA"),
        ("a@example.org", "läser@example.org"),
    ],
)
def test_an_address_that_smtp_cannot_carry_is_no_command(sink, monkeypatch, sender: str, recipient: str) -> None:
    monkeypatch.setattr("newsletter.transport._quoted", lambda address: f"<{address}>")  # it would cut them off before
    over, begun = transport(), []
    over.open()
    with pytest.raises(ValueError):
        over.send(name="x", sender=sender, recipient=recipient, data=b"x", begin=lambda meanwhile: begun.append(1))
    assert not sink.taken and not begun


def test_a_peer_that_vanishes_in_the_middle_of_the_body_has_not_taken_the_mail(settings) -> None:
    """The end mark was never sent, so nothing may be delivered: sending again is safe."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    settings.MAIL_TIMEOUT_S = 5

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rwb") as lines:
            lines.write(b"220 hello\r\n")
            lines.flush()
            for line in lines:
                lines.write(b"354 go on\r\n" if line.upper().startswith(b"DATA") else b"250 fine\r\n")
                lines.flush()
                if line.upper().startswith(b"DATA"):
                    # Close with unread bytes waiting: the kernel resets the connection under the sender.
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    over = transport()
    over.open()
    with pytest.raises(Lost) as lost:
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=os.urandom(2**25))
    thread.join()
    listener.close()
    assert not lost.value.handed_over
    assert isinstance(lost.value.__cause__, OSError | smtplib.SMTPException)
