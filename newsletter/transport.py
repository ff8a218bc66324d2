"""INBOX: hands finished messages to a mail server or a folder, and says exactly how far it got.

What a sender must know after a failure is only this: did the whole message leave before the answer was lost? So SMTP is
spoken here step by step (smtplib's `sendmail` does not tell), and the end mark is sent apart from the body.
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.utils import DNS_NAME

from config.files import write_whole
from newsletter import dkim

SHUTTING_DOWN = 421  # RFC 5321: the server closes the connection after this answer
SLOW_DOWN = {421, 452}  # too many connections, too many messages: what mailbox providers answer to who is too fast
ANSWER_CHARS = 300  # of a server's answer that are kept; the column's length
END_OF_DATA = b".\r\n"
EXAMPLE = "Set it like smtp://user:password@host:587?starttls=1."
# Most addresses: RFC 5322's dot-atom at a domain of letters, digits and hyphens. They stand for themselves in headers and in
# SMTP; to take others apart costs a third of a millisecond each time.
PLAIN_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*", re.ASCII)
Call = Callable[[], None]
Begin = Callable[[Call], None]
DEFAULT_PORTS = {"smtp": 25, "smtps": 465}


class Refused(Exception):
    """The server will never take this message (5xx)."""


class Later(Exception):
    """The server does not take this message now (4xx). `slow_down`: its recipient's domain gets too much at once."""

    def __init__(self, reason: str, *, slow_down: bool = False) -> None:
        super().__init__(reason)
        self.slow_down = slow_down


class Lost(Exception):
    """The connection broke. `handed_over`: the whole message had left, so nobody knows whether it was taken."""

    def __init__(self, reason: str, *, handed_over: bool) -> None:
        super().__init__(reason)
        self.handed_over = handed_over


class Unreachable(Exception):
    """There is no mail server to talk to, or it takes no mail of anybody now: no message was tried."""


@dataclass(frozen=True)
class Taken:
    """The server's last word, and the name it gave the message where it is a provider's."""

    answer: str
    provider_id: str = ""


class NotBegun(Exception):
    """Whoever sends has found out that this message must not be sent. Nothing that could be delivered has left."""


def nothing() -> None:
    """What there is to do beside most messages."""


def at_once(meanwhile: Call) -> None:
    """How most messages begin: nothing is written down before."""
    meanwhile()


class Transport(Protocol):
    """`open` connects where that is needed, again after a loss. `name` is unique for a message and its repetitions.

    `begin` must have returned before anything leaves that could be delivered. It is given what there is to do until then, which
    it calls once; it may raise NotBegun, which `send` passes on. `meanwhile` is something to do while others are waited for.
    """

    def open(self) -> None: ...
    def send(
        self, *, name: str, sender: str, recipient: str, data: bytes, begin: Begin = at_once, meanwhile: Call = nothing
    ) -> Taken: ...
    def close(self) -> None: ...


def transport() -> Transport:
    """The transport that EMAIL_URL names. Raises ImproperlyConfigured."""
    parts = urlsplit(settings.EMAIL_URL)
    if parts.scheme == "file":
        return FolderTransport(Path(unquote(parts.path)))
    if parts.scheme.startswith("anymail+"):
        from newsletter.provider import ProviderTransport  # Anymail and requests: only where a provider is used

        return ProviderTransport(settings.EMAIL_URL)
    return SmtpTransport(server(settings.EMAIL_URL), dkim.signer())


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    user: str
    password: str
    tls: bool
    starttls: bool


def server(url: str) -> Server:
    """smtp://user:password@host:port?starttls=1 or smtps://… in parts. Raises ImproperlyConfigured."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ImproperlyConfigured(f"EMAIL_URL has no usable scheme or port. {EXAMPLE}") from None
    if not parts.hostname:
        raise ImproperlyConfigured(f"EMAIL_URL names no host. {EXAMPLE}")
    starttls = parse_qs(parts.query).get("starttls", ["0"])[0] == "1"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Server(parts.hostname, port, user, password, parts.scheme == "smtps", starttls)


class FolderTransport:
    """One `.eml` file a message, named by it, so that a repetition cannot appear as a second one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"{self.folder} cannot be made: {error.strerror}") from error

    def send(
        self, *, name: str, sender: str, recipient: str, data: bytes, begin: Begin = at_once, meanwhile: Call = nothing
    ) -> Taken:
        begin(meanwhile)
        path = self.folder / f"{name}.eml"
        if path.exists() and path.stat().st_size:  # a power cut may leave an empty one, see write_whole
            return Taken("written before")
        try:
            write_whole(path, data)
        except OSError as error:
            raise Lost(f"{self.folder}: {error.strerror}", handed_over=False) from error
        return Taken(f"written to {path.name}")

    def close(self) -> None:
        """Nothing stays open between two files."""


class SmtpTransport:
    """One connection for many messages."""

    def __init__(self, server: Server, signer: dkim.Signer | None = None) -> None:
        self.server = server
        self.signer = signer
        self.connection: smtplib.SMTP | None = None
        self.sent = 0

    def open(self) -> None:
        if self.connection is not None and self.sent >= settings.MAIL_PER_CONNECTION:
            self.close()
        if self.connection is None:
            try:
                self.connection = self._connected()
            except (OSError, smtplib.SMTPException) as error:  # ssl.SSLError is an OSError
                raise Unreachable(f"{self.server.host}:{self.server.port}: {_reason(error)}") from error
            self.sent = 0

    def send(
        self, *, name: str, sender: str, recipient: str, data: bytes, begin: Begin = at_once, meanwhile: Call = nothing
    ) -> Taken:
        """The server's answer to the whole message. Raises Refused, Later, Lost, NotBegun."""
        assert self.connection is not None, "open first"
        smtp, handed_over = self.connection, False
        data = _with_crlf(data)
        if self.signer is not None:
            data = self.signer.header(data) + data
        options = " BODY=8BITMIME" if smtp.has_extn("8bitmime") and not data.isascii() else ""
        commands = [_command(f"MAIL FROM:{_quoted(sender)}{options}"), _command(f"RCPT TO:{_quoted(recipient)}"), b"DATA\r\n"]
        failed: list[Exception] = []

        def all_but_the_end() -> None:
            """Without an end mark the server must not deliver it (RFC 5321, 4.1.1.4): this may go before it has begun."""
            try:
                self._envelope(smtp, commands)
                smtp.send(_stuffed(data))
                meanwhile()
            except Exception as error:  # whoever begins must hear first that it has begun
                failed.append(error)

        try:
            begin(all_but_the_end)
            if failed:
                raise failed[0]
            handed_over = True  # the next bytes complete the message
            smtp.send(END_OF_DATA)
            answer = self._expect(250, *smtp.getreply())
        except OSError as error:  # smtplib's own errors are OSErrors too
            self._drop()
            raise Lost(_reason(error), handed_over=handed_over) from error
        except (Refused, Later):
            raise
        except Exception:  # NotBegun is one: a conversation that ends halfway is no use
            self._drop()
            raise
        self.sent += 1
        return Taken(answer)

    def close(self) -> None:
        if self.connection is not None:
            with suppress(OSError):  # it may be gone already; every message has had its answer
                self.connection.quit()
            self._drop()

    def _connected(self) -> smtplib.SMTP:
        to, name = self.server, DNS_NAME.get_fqdn()  # Django keeps the name: asking the resolver can take seconds
        smtp: smtplib.SMTP
        if to.tls:
            smtp = smtplib.SMTP_SSL(
                to.host, to.port, name, timeout=settings.MAIL_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            smtp = smtplib.SMTP(to.host, to.port, name, timeout=settings.MAIL_TIMEOUT_S)
        # The end mark is a small packet after a large one: with Nagle's algorithm it would wait for the server's delayed
        # acknowledgement, some 40 ms a message.
        assert smtp.sock is not None
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if to.starttls:
                smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
            if to.user:
                smtp.login(to.user, to.password)
        except OSError:
            smtp.close()
            raise
        return smtp

    def _envelope(self, smtp: smtplib.SMTP, commands: list[bytes]) -> None:
        """MAIL, RCPT and DATA: all at once where the server says that it takes that (RFC 2920), each after the answer to the
        one before where it does not."""
        ahead = len(commands) if smtp.has_extn("pipelining") else 1
        smtp.send(b"".join(commands[:ahead]))
        for at, wanted in enumerate((250, 250, 354)):
            if at >= ahead:
                smtp.send(commands[at])
                ahead = at + 1
            self._expect(wanted, *smtp.getreply(), owed=ahead - at - 1)

    def _expect(self, wanted: int, code: int, text: bytes, *, owed: int = 0) -> str:
        """The answer as text if it is of the wanted hundred; otherwise the conversation is reset and the reason raised. `owed`:
        answers to commands that were sent ahead."""
        answer = f"{code} {text.decode(errors='replace')}".replace("\n", " ")[:ANSWER_CHARS]
        if code // 100 == wanted // 100:
            return answer
        if code == SHUTTING_DOWN:
            self._drop()
        elif self.connection is not None:
            self._reset(self.connection, owed)
        if 500 <= code < 600:
            raise Refused(answer)
        if 400 <= code < 500:
            raise Later(answer, slow_down=code in SLOW_DOWN)
        # -1 or a success code of the wrong kind: whoever answers like this is no mail server to rely on.
        raise smtplib.SMTPServerDisconnected(f"unexpected answer: {answer}")

    def _reset(self, smtp: smtplib.SMTP, owed: int) -> None:
        try:
            answers = [smtp.getreply()[0] for _ in range(owed)]
            if answers and answers[-1] == 354:  # DATA was taken without a recipient: an empty message ends it, for nobody
                smtp.send(END_OF_DATA)
                smtp.getreply()
            smtp.rset()
        except OSError:
            self._drop()  # the next message opens a new connection; this one keeps the answer it had

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def _command(text: str) -> bytes:
    """A line to the server. Raises ValueError for what is no ASCII, or no line."""
    if "\r" in text or "\n" in text:
        raise ValueError("a line break in an address")
    return text.encode("ascii") + b"\r\n"


def _quoted(address: str) -> str:
    return f"<{address}>" if PLAIN_ADDRESS.fullmatch(address) else smtplib.quoteaddr(address)


def _with_crlf(data: bytes) -> bytes:
    """CRLF line ends, and one at the end. Counting is much faster than rewriting what is right already."""
    if not data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
        data = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _stuffed(data: bytes) -> bytes:
    """A leading dot doubled (RFC 5321, 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", data) if data.startswith(b".") or b"\n." in data else data


def _reason(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:ANSWER_CHARS]
