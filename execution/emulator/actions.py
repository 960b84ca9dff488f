"""Splits and cash dividends of a market as the corporate actions endpoint tells them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import asset_id_of
from execution.emulator.market import Dividend, Market, Split

CUSIP = "000000000"
"""Nobody here knows a security's CUSIP; clients only want nine characters."""
RATE_STEP = Decimal("0.0000001")


def actions_between(
    market: Market, *, start: date, end: date, symbols: Collection[str] = (), types: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return actions by kind with an ex-date from start to end; no symbols or types means all of them."""
    splits = [split for split in market.splits(start, end) if not symbols or split.symbol in symbols]
    dividends = [dividend for dividend in market.dividends(start, end) if not symbols or dividend.symbol in symbols]
    found = {
        "forward_splits": [_forward(split) for split in splits if split.ratio >= 1],
        "reverse_splits": [_reverse(split) for split in splits if split.ratio < 1],
        "cash_dividends": [_dividend(dividend) for dividend in dividends],
    }
    return {kind: rows for kind, rows in found.items() if rows and (not types or _asked(kind) in types)}


def _asked(kind: str) -> str:
    return kind.removesuffix("s")


def _forward(split: Split) -> dict[str, Any]:
    return {**_dates(split), "cusip": CUSIP, "new_rate": split.ratio, "old_rate": 1}


def _reverse(split: Split) -> dict[str, Any]:
    old = (1 / split.ratio).quantize(RATE_STEP).normalize()
    return {**_dates(split), "old_cusip": CUSIP, "new_cusip": CUSIP, "new_rate": 1, "old_rate": old}


def _dividend(dividend: Dividend) -> dict[str, Any]:
    return {**_dates(dividend), "cusip": CUSIP, "rate": dividend.cash, "special": False, "foreign": False}


def _dates(action: Split | Dividend) -> dict[str, Any]:
    day = action.ex_date.isoformat()
    return {
        "id": asset_id_of(f"{action.symbol}|{type(action).__name__}|{day}"),
        "symbol": action.symbol,
        "ex_date": day,
        "process_date": day,
    }
