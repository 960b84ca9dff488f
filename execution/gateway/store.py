"""Runs the statements of the order path and turns their rows into values."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from execution.errors import ExecutionError
from execution.gateway import statements
from execution.gateway.book import Book
from execution.gateway.prepared import run
from execution.gateway.rows import AccountRow, ItemRow, parse_row
from execution.identity import intent_key
from marketdata import calendar
from marketdata.clock import ClockState, market_now, waiting_lead
from risk.types import OrderIntent


class AccountMissing(ExecutionError):
    """There is no such account."""

    code = "account_missing"


def read_account(account_id: int, *, wall_now: datetime, lock: bool) -> tuple[AccountRow, datetime]:
    """Return the account and its market time; with `lock`, hold its row until the transaction ends.

    :raises AccountMissing: no such account
    """
    rows = run(statements.LOCK_ACCOUNT if lock else statements.READ_ACCOUNT, {"account": account_id})
    if not rows:
        raise AccountMissing(f"there is no account {account_id}")
    row = rows[0]
    clock = ClockState(*row[10:17])
    return AccountRow._make([*row[:10], waiting_lead(clock)]), market_now(clock, wall_now)


def read_items(book: Book, intents: Sequence[OrderIntent], keys: Sequence[str]) -> list[ItemRow]:
    """Read all that the gate needs to know about every intent, in one statement."""
    account = book.account
    strategies = {intent.strategy for intent in intents}
    symbols = {intent.symbol for intent in intents}
    parameters = {
        "account": account.id,
        "feed": account.feed_id,
        "account_scope": account.scope,
        "scopes": [
            *("global", account.scope),
            *(f"strategy:{name}" for name in sorted(strategies)),
            *(f"symbol:{name}" for name in sorted(symbols)),
        ],
        "day": book.day,
        "minute": book.minute,
        "market_at": book.market_at,
        "week": book.day - timedelta(days=book.day.weekday()),
        "symbols": [intent.symbol for intent in intents],
        "strategies": [intent.strategy for intent in intents],
        "sides": [str(intent.side) for intent in intents],
        "client_ids": [intent.client_order_id for intent in intents],
        "idempotency_keys": [intent.idempotency_key for intent in intents],
        "intent_keys": list(keys),
        "parents": [intent.parent_id for intent in intents],
    }
    rows = run(statements.READ_CASE, parameters)
    return [parse_row(intent.symbol, row) for intent, row in zip(intents, rows, strict=True)]


def write_orders(book: Book, rows: Sequence[dict[str, Any]]) -> list[tuple[int | None, int, datetime]]:
    """Store decisions, orders, events and reservations; returns (order id, decision id, wall time) in input order."""
    parameters = {
        "orders": orjson.dumps(rows).decode(),
        "account": book.account.id,
        "account_name": book.account.name,
        "market_at": book.market_at,
        "day": book.day,
        "minute": book.minute,
        "rate_count": book.rate_count,
    }
    return [(row[1], row[2], row[3]) for row in run(statements.WRITE_ORDERS, parameters)]


def open_book(account: AccountRow, *, market_at: datetime, wall_now: datetime) -> Book:
    """Begin a book for one batch."""
    return Book(account=account, market_at=market_at, wall_now=wall_now, day=order_date(market_at))


def order_date(market_at: datetime) -> date:
    """Return the session an order of this instant belongs to."""
    return calendar.trading_date(market_at)


def keys_of(intents: Sequence[OrderIntent], day: date) -> list[str]:
    """Return every intent's key on the trading date."""
    return [intent_key(intent, day) for intent in intents]
