"""What is wanted from the stream, what it gives, and what fits: one request at a time, its answer before the next.

How many symbols fit is not said by the stream: it refuses a request that is too large (405). What fits is then found by
halves; the rest is polled.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from marketdata.providers.alpaca.ending import StreamEnded
from marketdata.providers.alpaca.words import BASIC_CHANNELS, CHANNELS
from marketdata.types import GapReason

MOST_IN_ONE_REQUEST = 400
Request = dict[str, Any]


class Subscriptions:
    """Belongs to the loop's thread, but for `want`, which the loop is handed."""

    def __init__(self) -> None:
        self.wanted: tuple[str, ...] = ()
        self.given: set[str] = set()
        self.capacity: int | None = None
        self.channels: tuple[str, ...] = CHANNELS
        self._asked: Request = {}
        self._too_many: int | None = None
        self._changed = asyncio.Event()
        self._answer = asyncio.Event()

    @property
    def overflow(self) -> Sequence[str]:
        """Symbols that the stream does not give: they have to be polled."""
        return [symbol for symbol in self.wanted if symbol not in self.given]

    @property
    def shortfall(self) -> str:
        """Say what the stream does not give; empty when it gives all."""
        parts = []
        if self.channels != CHANNELS:
            parts.append("no halts and price bands in this subscription")
        if self.capacity is not None and len(self.wanted) > self.capacity:
            parts.append(f"the stream takes {self.capacity} symbols, {len(self.wanted)} are wanted: the rest is polled")
        return "; ".join(parts)

    def want(self, symbols: Sequence[str]) -> None:
        """Take what is wanted from now on, the most important first."""
        wanted = tuple(dict.fromkeys(symbols))
        if wanted != self.wanted:
            self.wanted = wanted
            self._changed.set()

    def begin(self) -> None:
        """Begin on a new connection, which knows of nothing."""
        self.given = set()
        self.channels, self.capacity, self._too_many = CHANNELS, None, None
        self._asked = {}

    async def changed(self) -> None:
        """Wait until something else is wanted."""
        await self._changed.wait()

    def next_request(self) -> Request | None:
        """Return what to ask for next; None when all is as it is wanted."""
        self._changed.clear()
        self._answer.clear()
        fitting = self.wanted if self.capacity is None else self.wanted[: self.capacity]
        extra = sorted(self.given - set(fitting))
        if extra:
            return self._ask("unsubscribe", extra[:MOST_IN_ONE_REQUEST])
        missing = [symbol for symbol in fitting if symbol not in self.given]
        room = MOST_IN_ONE_REQUEST
        if self._too_many is not None:
            # Between what is given and what was too many lies what fits.
            room = max((self._too_many - len(self.given)) // 2, 0)
            if room == 0:
                self.capacity, self._too_many = len(self.given), None
                return None
        return self._ask("subscribe", missing[:room]) if missing[:room] else None

    async def answered(self, seconds: float) -> None:
        """Wait for the answer.

        :raises StreamEnded: none came
        """
        try:
            async with asyncio.timeout(seconds):
                await self._answer.wait()
        except TimeoutError:
            raise StreamEnded(GapReason.DISCONNECTED, "no answer to a subscription") from None

    def confirmed(self, message: Mapping[str, Any]) -> None:
        """Take the list of what is subscribed now."""
        self.given = {str(symbol) for symbol in message.get("quotes") or ()}
        self._answer.set()

    def refused(self, message: Mapping[str, Any]) -> None:
        """Ask for less next time.

        :raises StreamEnded: there is nothing less to ask for
        """
        if message.get("code") == 405:
            self._too_many = len(self.given) + len(self._asked.get("quotes", ()))
        elif self.channels != BASIC_CHANNELS:
            self.channels = BASIC_CHANNELS
        else:
            raise StreamEnded(GapReason.REFUSED, f"{message.get('code')} {message.get('msg', '')}")
        self._answer.set()

    def _ask(self, action: str, symbols: Sequence[str]) -> Request:
        channels = self.channels if action == "subscribe" else CHANNELS
        self._asked = {"action": action, **{channel: list(symbols) for channel in channels}}
        return self._asked
