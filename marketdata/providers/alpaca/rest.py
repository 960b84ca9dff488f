"""Ask Alpaca's data service: one session, timeouts, every failure an error that says whether asking again may help."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import requests

from marketdata.errors import LiveSourceError
from marketdata.providers.alpaca.configuration import AlpacaData
from marketdata.providers.alpaca.words import Unreadable, events_of_snapshot
from marketdata.types import MarketEvent

CONNECT_SECONDS = 3.05
READ_SECONDS = 10
LIVE_READ_SECONDS = 4
"""For prices of now: an answer that takes longer is of no use, and whoever stops waits for it."""
MOST_SYMBOLS = 200
"""Symbols in one request: an address has to stay short enough for every proxy."""
LONGEST_MESSAGE = 200
INVALID = re.compile(r"invalid symbol: ([A-Z0-9.\-]+)")


class AlpacaDataError(LiveSourceError):
    """Alpaca's data service gave no usable answer; `status` is 0 where there was none at all."""

    def __init__(self, message: str, *, status: int = 0, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)

    @property
    def refused(self) -> bool:
        """Whether asking the same again cannot help."""
        return 400 <= self.status < 500 and self.status not in (408, 429)


class AlpacaRest:
    """Requests to one data service; one thread at a time."""

    def __init__(self, config: AlpacaData, *, read_seconds: float = READ_SECONDS) -> None:
        self.config = config
        self._timeout = (CONNECT_SECONDS, read_seconds)
        self._session = requests.Session()
        self._session.headers.update({"APCA-API-KEY-ID": config.key_id, "APCA-API-SECRET-KEY": config.secret})
        self._unknown: set[str] = set()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON object of an answer, its numbers exact.

        :raises AlpacaDataError: nobody there, a refusal, or an answer that cannot be read
        """
        try:
            answer = self._session.get(
                f"{self.config.rest_url}{path}",
                params=dict(query),
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise AlpacaDataError(f"{path}: {type(error).__name__}: no answer") from error
        if answer.status_code != 200:
            raise _refusal(path, answer)
        try:
            read = json.loads(answer.content, parse_float=Decimal)
        except ValueError:
            raise AlpacaDataError(f"{path}: the answer is not JSON", status=answer.status_code) from None
        if not isinstance(read, dict):
            raise AlpacaDataError(f"{path}: the answer is no JSON object", status=answer.status_code)
        return read

    def latest(self, symbols: Sequence[str], feed: str) -> list[MarketEvent]:
        """Return the newest quote and trade of each symbol; those that Alpaca does not know are left out from then on.

        :raises AlpacaDataError: as `get`
        """
        wanted = [symbol for symbol in symbols if symbol not in self._unknown]
        events: list[MarketEvent] = []
        for first in range(0, len(wanted), MOST_SYMBOLS):
            events += self._snapshots(wanted[first : first + MOST_SYMBOLS], feed)
        return events

    def _snapshots(self, symbols: list[str], feed: str) -> list[MarketEvent]:
        while symbols:
            try:
                answer = self.get("/v2/stocks/snapshots", {"symbols": ",".join(symbols), "feed": feed})
            except AlpacaDataError as error:
                # One symbol that is not known makes the whole request fail, and is named in the message.
                named = set(INVALID.findall(str(error))) & set(symbols)
                if error.status != 400 or not named:
                    raise
                self._unknown.update(named)
                symbols = [symbol for symbol in symbols if symbol not in named]
            else:
                return _events(answer, symbols)
        return []


def _events(answer: Mapping[str, Any], symbols: Sequence[str]) -> list[MarketEvent]:
    snapshots = answer.get("snapshots", answer)
    events: list[MarketEvent] = []
    for symbol in symbols:
        snapshot = snapshots.get(symbol)
        if isinstance(snapshot, Mapping):
            try:
                events += events_of_snapshot(symbol, snapshot)
            except Unreadable as error:
                raise AlpacaDataError(f"snapshot of {symbol}: {error}", status=200) from error
    return events


def _refusal(path: str, answer: requests.Response) -> AlpacaDataError:
    try:
        message = str(json.loads(answer.content)["message"])
    except (ValueError, KeyError, TypeError):
        message = answer.reason or "no reason given"
    after = answer.headers.get("Retry-After", "")
    text = f"{path}: {answer.status_code} {message[:LONGEST_MESSAGE]}"
    return AlpacaDataError(text, status=answer.status_code, retry_after=int(after) if after.isdecimal() else None)
