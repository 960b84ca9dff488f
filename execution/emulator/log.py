"""What truly happened at the emulated broker, in order, and nothing else: the side that a test compares a book with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from execution.alpaca_wire.json import decode_object, encode
from execution.alpaca_wire.text import moment, number
from execution.matching.holdings import Holding

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, `at` market time; what `data` holds follows from the kind."""

    sequence: int
    at: datetime
    kind: str
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the entry as one line of the file says it: numbers and times are text."""
        shown = {name: _shown(value) for name, value in self.data.items()}
        return {"sequence": self.sequence, "at": moment(self.at), "kind": self.kind, **shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedFill:
    """One execution; `quantity` in shares and positive, price and fee account currency."""

    execution_id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime

    @property
    def signed_quantity(self) -> Decimal:
        """Shares, negative for a sale."""
        return self.quantity if self.side == "buy" else -self.quantity


class EventLog:
    """Entries numbered from 1; with a path, each is also appended to that file as one line of JSON."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: list[Entry] = []
        self._file = None if path is None else _open_to_append(path)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> EventLog:
        """Return a log of entries that another one told, e.g. one that goes on in another thread."""
        log = cls()
        log._entries = list(entries)
        return log

    @classmethod
    def read(cls, path: Path) -> EventLog:
        """Read the file that another process appends to; a last line without an end is not there yet.

        :raises WireError, KeyError: a line is no entry
        """
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        return cls.of(_entry(decode_object(line.encode())) for line in whole.splitlines())

    def add(self, kind: str, *, at: datetime, **data: Any) -> Entry:
        """Append what happened."""
        entry = Entry(len(self._entries) + 1, at, kind, MappingProxyType(data))
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(encode(entry.as_json()).decode() + "\n")
        return entry

    def entries(self, *, after: int = 0, kind: str | None = None) -> list[Entry]:
        """Return what was appended behind the entry numbered `after`, all kinds or one."""
        return [entry for entry in self._entries[max(after, 0) :] if kind is None or entry.kind == kind]

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        """Say that there is a log, also where it is empty."""
        return True

    def close(self) -> None:
        """Close the file; the entries in memory stay."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def account_entries(self) -> list[Entry]:
        """Return what happened since the account was opened last: a reset opens it anew."""
        openings = [entry.sequence for entry in self._entries if entry.kind == "opened"]
        return self._entries[openings[-1] - 1 if openings else 0 :]

    def orders(self) -> dict[str, str]:
        """Return the newest status of every order by its id, out of the entries alone."""
        told = self.account_entries()
        return {entry.data["order_id"]: entry.data["status"] for entry in told if "status" in entry.data}

    def fills(self, *, until: datetime | None = None) -> list[LoggedFill]:
        """Return the executions that stand (a busted one does not), in order, up to an instant."""
        told = [entry for entry in self.account_entries() if until is None or entry.at <= until]
        busted = {entry.data["execution_id"] for entry in told if entry.kind == "bust"}
        return [
            LoggedFill(at=entry.at, **{name: entry.data[name] for name in FILL_FIELDS})
            for entry in told
            if entry.kind == "fill" and entry.data["execution_id"] not in busted
        ]

    def holdings(self, *, until: datetime | None = None) -> dict[str, Holding]:
        """Return what was held by symbol at an instant (None: now), recomputed from the entries alone; none is flat."""
        held: dict[str, Holding] = {}
        for entry in self.account_entries():
            if until is not None and entry.at > until:
                break
            moved = self.moved(entry, held)
            if moved is not None:
                held[entry.data["symbol"]] = moved
        return {symbol: holding for symbol, holding in sorted(held.items()) if holding.quantity}

    @staticmethod
    def moved(entry: Entry, held: Mapping[str, Holding]) -> Holding | None:
        """Return what is held of an entry's symbol after it, None for an entry that moves no shares."""
        move = MOVES.get(entry.kind)
        return None if move is None else move(held.get(entry.data["symbol"], Holding()), entry.data)

    def positions(self, *, until: datetime | None = None) -> dict[str, Decimal]:
        """Return the signed shares held by symbol, recomputed from the entries alone; flat ones are left out."""
        return {symbol: holding.quantity for symbol, holding in self.holdings(until=until).items()}

    def cash_moved(self) -> Decimal:
        """Return what came in less what went out since the start, account currency, from the entries alone."""
        return sum((entry.data["cash"] for entry in self.account_entries() if "cash" in entry.data), ZERO)


FILL_FIELDS = ("execution_id", "order_id", "client_order_id", "symbol", "side", "quantity", "price", "fee")


def _after_fill(held: Holding, data: Mapping[str, Any]) -> Holding:
    signed = data["quantity"] if data["side"] == "buy" else -data["quantity"]
    return held.after_trade(signed, data["price"])


def _after_bust(held: Holding, data: Mapping[str, Any]) -> Holding:
    signed = data["quantity"] if data["side"] == "buy" else -data["quantity"]
    return held.after_trade(-signed, data["price"])


def _after_position(held: Holding, data: Mapping[str, Any]) -> Holding:
    return Holding(data["quantity"], data["price"]) if data["quantity"] else Holding()


def _after_split(held: Holding, data: Mapping[str, Any]) -> Holding:
    return held.after_split(data["ratio"])


MOVES: dict[str, Callable[[Holding, Mapping[str, Any]], Holding]] = {
    "fill": _after_fill,
    "bust": _after_bust,
    "position": _after_position,
    "split": _after_split,
}


def _open_to_append(path: Path) -> TextIOWrapper:
    """Open a file that several processes may append to, a line at a time.

    :raises OSError: it cannot be opened
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")


def _shown(value: Any) -> Any:
    if isinstance(value, Decimal):
        return number(value)
    return moment(value) if isinstance(value, datetime) else value


AMOUNTS = frozenset(
    {"quantity", "filled_quantity", "price", "limit_price", "stop_price", "fee", "cash", "ratio", "per_share"}
    | {"starting_cash"}
)


def _entry(line: Mapping[str, Any]) -> Entry:
    data = {name: _read(name, value) for name, value in line.items() if name not in ("sequence", "at", "kind")}
    return Entry(int(line["sequence"]), datetime.fromisoformat(line["at"]), line["kind"], MappingProxyType(data))


def _read(name: str, value: Any) -> Any:
    return Decimal(value) if name in AMOUNTS and value is not None else value
