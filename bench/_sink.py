"""The SMTP server that mails are sent to, on loopback, in a process of its own: what RFC 5321 asks of a receiver, and no more.

aiosmtpd takes 2.5 ms a mail, as long as the fastest sender that is measured here: it would be measured itself.

`python -m bench._sink FILE [SEED]` prints its port, then writes a line "tries recipient message-id outcome" for each mail
into FILE. With a SEED it answers badly: what a recipient's nth try meets is drawn from the seed, so that a run can be repeated.
"""

import asyncio
import os
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import cast

MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*(\S+)")
END = b"\r\n.\r\n"
# Shares of tries. What is refused for good is drawn from the recipient alone: nobody's box comes back.
GONE = 0.03
CLOSED, FULL, CUT, DROPPED = 0.02, 0.03, 0.02, 0.02


class Plan:
    """What each try meets, and the file of what came of it."""

    def __init__(self, file: Path, seed: str) -> None:
        self.file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.seed = seed
        self.tries: Counter[str] = Counter()

    def of(self, address: str) -> str:
        if not self.seed:
            return ""
        if random.Random(f"{self.seed} {address}").random() < GONE:
            return "550"
        drawn = random.Random(f"{self.seed} {address} {self.tries[address]}").random()
        for outcome, share in (("421", CLOSED), ("452", FULL), ("cut", CUT), ("dropped", DROPPED)):
            if drawn < share:
                return outcome
            drawn -= share
        return ""

    def note(self, address: str, data: bytes, outcome: str) -> None:
        found = MESSAGE_ID.search(data)
        name = found[1].decode() if found else "-"
        os.write(self.file, f"{self.tries[address]} {address} {name} {outcome}\n".encode())


class Conversation(asyncio.Protocol):
    def __init__(self, plan: Plan) -> None:
        self.plan, self.buffer, self.recipient, self.in_data = plan, bytearray(), "", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"220 sink.example\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = END if self.in_data else b"\r\n"
            at = self.buffer.find(end)
            if at < 0:
                return
            piece = bytes(self.buffer[:at])
            del self.buffer[: at + len(end)]
            answer = self._mail(piece) if self.in_data else self._command(piece.decode("utf-8", "replace"))
            if answer is None:
                self.transport.abort()
                return
            self.transport.write(answer.encode() + b"\r\n")
            if answer.startswith("221"):
                self.transport.close()

    def _command(self, line: str) -> str | None:
        verb = line[:4].upper()
        if verb == "EHLO":
            self.recipient = ""
            return "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8"
        if verb == "RCPT":
            return self._recipient(line[line.find("<") + 1 : line.rfind(">")])
        if verb == "DATA":
            if not self.recipient:
                return "503 no recipient"
            self.in_data = True
            return "354 go on"
        if verb in ("MAIL", "RSET"):
            self.recipient = ""
        return "221 bye" if verb == "QUIT" else "250 OK"

    def _recipient(self, address: str) -> str | None:
        self.plan.tries[address] += 1
        planned = self.plan.of(address)
        if planned == "cut":
            return None
        if planned in ("421", "452", "550"):
            return f"{planned} as planned"
        self.recipient = address
        return "250 OK"

    def _mail(self, data: bytes) -> str | None:
        self.in_data = False
        outcome = "dropped" if self.plan.of(self.recipient) == "dropped" else "taken"
        self.plan.note(self.recipient, data, outcome)
        return None if outcome == "dropped" else "250 2.0.0 taken"  # dropped: the mail is there, the answer is not


async def serve(file: Path, seed: str) -> None:
    plan = Plan(file, seed)
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(plan), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
