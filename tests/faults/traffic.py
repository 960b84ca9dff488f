"""Programs and a strategy that send orders for as long as they are let, and remember what they were told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Thread
from typing import Any

from marketdata.clock import wall_now
from tests.faults.outpost import REPOSITORY, Outpost, Reply


@dataclass(frozen=True, slots=True)
class Told:
    """What a program was told about an order, and when."""

    name: str
    client: int
    at: datetime
    reply: Reply


@dataclass
class Traffic:
    """All answers so far, in the order in which they came."""

    answers: list[Told] = field(default_factory=list)

    def acknowledged(self) -> list[str]:
        """Return the names of the orders that somebody was promised."""
        return [told.name for told in self.answers if told.reply.status == 201]

    def failed(self) -> list[Told]:
        """Return the answers that say nothing about the order: no answer, or one of the server's own."""
        return [told for told in self.answers if told.reply.status == 0 or told.reply.status >= 500]

    def statuses(self) -> list[int]:
        return sorted({told.reply.status for told in self.answers})


@contextmanager
def traffic(
    outpost: Outpost, name: str, *, clients: int = 3, per_second: float = 30, fields: Callable[[int], Any] | None = None
) -> Iterator[Traffic]:
    """Send orders at about this pace until the end of the block; every fourth is met by the market at once."""
    stopping, told = Event(), Traffic()

    def send(client: int) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            order = f"{name}-{client}-{number}"
            more = fields(number) if fields else {"limit_price": "101.00"} if number % 4 == 0 else {}
            reply = outpost.order(order, timeout=20, **more)
            told.answers.append(Told(order, client, wall_now(), reply))
            stopping.wait(clients / per_second)

    with ThreadPoolExecutor(clients) as pool:
        senders = [pool.submit(send, client) for client in range(clients)]
        try:
            yield told
        finally:
            stopping.set()
        for sender in senders:
            sender.result()


@dataclass
class Source:
    """What the process has said so far."""

    names: dict[str, datetime] = field(default_factory=dict)
    """Of each order that was taken: when its basket was committed, or a moment later."""

    def later_than(self, instant: datetime) -> set[str]:
        """Return the names of the orders whose basket was done later than an instant."""
        return {name for name, at in self.names.items() if at > instant}


@contextmanager
def baskets(outpost: Outpost, name: str, *, per_second: int) -> Iterator[Source]:
    """Store orders at this pace until the end of the block."""
    source = Source()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.outpost_source", name, str(per_second)],
        cwd=REPOSITORY, env=outpost.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    reader = Thread(target=_read, args=(process, source), daemon=True)
    with process:
        reader.start()
        try:
            yield source
        finally:
            assert process.stdin is not None
            process.stdin.close()
            reader.join(60)
    assert process.returncode == 0, f"the source of orders ended with {process.returncode}"


def _read(process: subprocess.Popen[str], source: Source) -> None:
    for line in process.stdout or ():
        said: dict[str, Any] = json.loads(line)
        source.names |= dict.fromkeys(said["taken"], datetime.fromisoformat(said["at"]))
