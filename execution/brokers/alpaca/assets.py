"""What Alpaca trades and lends: its own list, which changes from day to day without notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from execution.brokers.alpaca.failures import NOT_FOUND, unreadable
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.words import objects, text
from execution.brokers.base import BrokerRejected, BrokerUnavailable

MOST_ONE_BY_ONE = 50
"""More names than this are read as one list of some thousand, which is one request of the minute's budget."""
ACTIVE = "active"
NOT_LISTED = "not in the broker's list"
WHOLE_LIST = {"status": ACTIVE, "asset_class": "us_equity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One security at the broker; `shortable` only when it is also easy to borrow, because others are refused."""

    symbol: str
    status: str
    tradable: bool
    shortable: bool
    fractionable: bool


def read_asset(line: Line, symbol: str) -> Asset:
    """Ask for one security; one that the broker does not know is not traded there.

    :raises BrokerUnavailable: there was no answer, or none that can be believed
    """
    try:
        answer = line.get_order(f"/assets/{quote(symbol, safe='')}")
    except BrokerRejected as refusal:
        if refusal.code != NOT_FOUND:
            raise BrokerUnavailable(f"asset {symbol}: {refusal.reason}", code=refusal.code) from None
        return _unlisted(symbol)
    asset = _asset(answer)
    if asset.symbol != symbol:
        raise unreadable(f"asked for the asset {symbol}, told of {asset.symbol[:32]!r}", writes=False)
    return asset


def read_assets(line: Line, symbols: Sequence[str]) -> list[Asset]:
    """Ask for all of them, one by one or as the whole list; a single answer that fails makes the rest none.

    :raises BrokerUnavailable: there was no answer, or none that can be believed
    """
    if len(symbols) <= MOST_ONE_BY_ONE:
        return [read_asset(line, symbol) for symbol in symbols]
    wanted = set(symbols)
    listed = objects(line.get("/assets", WHOLE_LIST))
    found = {asset.symbol: asset for asset in (_asset(item) for item in listed if item.get("symbol") in wanted)}
    if len(found) * 2 < len(wanted):  # half of what a desk trades is not delisted overnight
        raise unreadable(f"a list of assets with {len(found)} of {len(wanted)} names", writes=False)
    return [found.get(symbol) or _unlisted(symbol) for symbol in symbols]


def why_no_short_sales(line: Line) -> str:
    """Return why the account may not sell short, empty when it may.

    :raises BrokerUnavailable: there was no answer, or none that can be believed
    """
    configurations, account = line.get("/account/configurations"), line.get("/account")
    forbidden = configurations.get("no_shorting") if isinstance(configurations, Mapping) else None
    if not isinstance(forbidden, bool) or not isinstance(account, Mapping):
        raise unreadable("account configurations without no_shorting", writes=False)
    if forbidden:
        return "no_shorting is set in the account"
    return "shorting is not enabled in the account" if account.get("shorting_enabled") is False else ""


def _asset(answer: object) -> Asset:
    fields: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    symbol, status = text(fields.get("symbol")), text(fields.get("status"))
    told = {name: fields.get(name) for name in ("tradable", "shortable", "easy_to_borrow", "fractionable")}
    if not symbol or not status or not all(isinstance(value, bool) for value in told.values()):
        raise unreadable(f"an asset without symbol, status or flags: {symbol[:32]!r}", writes=False)
    return Asset(
        symbol=symbol,
        status=status[:32],
        tradable=told["tradable"] is True and status == ACTIVE,
        shortable=told["shortable"] is True and told["easy_to_borrow"] is True,
        fractionable=told["fractionable"] is True,
    )


def _unlisted(symbol: str) -> Asset:
    return Asset(symbol=symbol, status=NOT_LISTED, tradable=False, shortable=False, fractionable=False)
