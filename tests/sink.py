"""A real SMTP server on loopback that keeps what it took, and can be told to answer badly."""

import socket
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

Script = Callable[[str], str | None]


class Sink:
    """`on[verb](recipient or "")` may return an answer in place of 250, "close" to break the connection instead, or None.

    Verbs: MAIL, RCPT, DATA (after the whole message has arrived). `taken` is what a real server would now deliver, also
    when it broke the connection afterwards.
    """

    def __init__(self, *, pipelining: bool = True) -> None:
        self.pipelining = pipelining  # as nearly all servers have it; aiosmtpd takes commands ahead, and does not say so
        self.taken: list[tuple[str, EmailMessage]] = []
        self.raw: list[bytes] = []
        self.on: dict[str, Script] = {}
        self.connections = 0

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.taken]

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return [responses[0], *(["250-PIPELINING"] if self.pipelining else []), *responses[1:]]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self._scripted(server, "MAIL", "")
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self._scripted(server, "RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        recipient = envelope.rcpt_tos[0]
        script = self.on.get("DATA")
        answer = script(recipient) if script else None
        if answer in (None, "close"):
            self.raw.append(envelope.content)
            self.taken.append((recipient, message_from_bytes(envelope.content, policy=policy.default)))
        if answer == "close":
            server.transport.abort()
        return answer or "250 2.0.0 taken"

    def _scripted(self, server: Any, verb: str, address: str) -> str | None:
        script = self.on.get(verb)
        answer = script(address) if script else None
        if answer == "close":
            server.transport.abort()
        return answer


class Running(Controller):
    def __init__(self, sink: Sink) -> None:
        super().__init__(sink, hostname="127.0.0.1", port=0)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.address[1]}"

    def _trigger_server(self) -> None:
        """The base class would connect to port 0; the system has chosen another one."""
        with socket.create_connection(self.address, 5) as probe:
            probe.recv(1024)
