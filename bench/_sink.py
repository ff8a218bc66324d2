"""The SMTP server that mails are sent to: aiosmtpd on loopback, in a process of its own.

`python -m bench._sink FILE [SEED]` prints its port, then writes a line "tries recipient message-id outcome" for each mail into
FILE. With a SEED it answers badly: what a recipient's nth try meets is drawn from the seed, so that a run can be repeated.
"""

import asyncio
import os
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*(\S+)")
# Shares of tries. What is refused for good is drawn from the recipient alone: nobody's box comes back.
GONE = 0.03
CLOSED, FULL, CUT, DROPPED = 0.02, 0.03, 0.02, 0.02


class Sink:
    def __init__(self, file: Path, seed: str) -> None:
        self.file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.seed = seed
        self.tries: Counter[str] = Counter()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        self.tries[address] += 1
        planned = self._plan(address)
        if planned == "cut":
            server.transport.abort()
            return "250 never heard"
        if planned in ("421", "452", "550"):
            return f"{planned} as planned"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        address = envelope.rcpt_tos[0]
        outcome = "dropped" if self._plan(address) == "dropped" else "taken"
        found = MESSAGE_ID.search(envelope.content)
        name = found[1].decode() if found else "-"
        os.write(self.file, f"{self.tries[address]} {address} {name} {outcome}\n".encode())
        if outcome == "dropped":  # the mail is there, the answer is not
            server.transport.abort()
        return "250 2.0.0 taken"

    def _plan(self, address: str) -> str:
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


async def serve(file: Path, seed: str) -> None:
    sink = Sink(file, seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, loop=loop, hostname="sink.example"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
