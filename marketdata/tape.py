"""Make one view of each instrument out of trades and quotes that come apart. Pure.

A quote with both sides that is not wide is fresher news of the price than the trade before it: the last price is then
the trade's, moved into the quote where it lies outside, and carries the quote's time. A wide or one-sided quote says
nothing about the price, so the time stays that of the trade, and the price grows old as it should.

What was told before a split is in old shares; a source goes on telling the last trade of then. Views are in new shares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from marketdata.types import BidAsk, QuoteUpdate, TradeChange, TradePrint

WIDEST_SPREAD = Decimal("0.01")
"""Widest spread that tells a price, as a share of the ask."""
PRICE_STEP = Decimal("0.0001")
AFTER_SPLIT = ", after split"


class ShareChange(NamedTuple):
    """From an instant on (market time) one old share is `ratio` new ones."""

    since: datetime
    ratio: Decimal


Splits = Mapping[str, Sequence[ShareChange]]


@dataclass(slots=True)
class _Seen:
    """What was told of one instrument, each with its own time."""

    trade: TradePrint | None = None
    sides: BidAsk | None = None
    source: str = ""


class Tape:
    """Remembers the newest trade and quote of each instrument; what comes late or crossed changes nothing."""

    def __init__(self, splits: Splits | None = None) -> None:
        self._seen: dict[str, _Seen] = {}
        self._splits: Splits = splits or {}

    def adopt(self, splits: Splits) -> list[str]:
        """Count in these splits from now on, and return the symbols whose view may be another one now."""
        before, self._splits = self._splits, splits
        changed = [symbol for symbol in {*before, *splits} if before.get(symbol) != splits.get(symbol)]
        return [symbol for symbol in changed if symbol in self._seen]

    def take(self, event: TradePrint | TradeChange | BidAsk, source: str) -> bool:
        """Take one event; False when it tells nothing new."""
        seen = self._seen.setdefault(event.symbol, _Seen())
        if isinstance(event, TradePrint):
            changed = _take_trade(seen, event)
        elif isinstance(event, BidAsk):
            changed = _take_sides(seen, event)
        else:
            changed = _take_change(seen, event)
        if changed:
            seen.source = source
        return changed

    def forget(self, symbol: str) -> None:
        """Drop what is known of an instrument that nobody watches any more: later it would be old news."""
        self._seen.pop(symbol, None)

    def view(self, symbol: str) -> QuoteUpdate | None:
        """Return the whole view of an instrument, None when nothing is known."""
        seen = self._seen.get(symbol)
        if seen is None:
            return None
        trade, sides = self._in_new_shares(symbol, seen.trade, seen.sides)
        bid, ask = (None, None) if sides is None else (sides.bid, sides.ask)
        if bid is None and ask is None and trade is None:
            return None
        last, at = _price(trade, sides)
        changed = (trade, sides) != (seen.trade, seen.sides)
        return QuoteUpdate(symbol, bid, ask, last, at, seen.source + AFTER_SPLIT if changed else seen.source)

    def _in_new_shares(
        self, symbol: str, trade: TradePrint | None, sides: BidAsk | None
    ) -> tuple[TradePrint | None, BidAsk | None]:
        for change in self._splits.get(symbol, ()):
            if trade is not None and trade.at < change.since:
                trade = replace(trade, price=_divided(trade.price, change.ratio))
            if sides is not None and sides.at < change.since:
                bid, ask = (None if side is None else _divided(side, change.ratio) for side in (sides.bid, sides.ask))
                sides = replace(sides, bid=bid, ask=ask)
        return trade, sides


def _divided(price: Decimal, ratio: Decimal) -> Decimal:
    return max((price / ratio).quantize(PRICE_STEP, ROUND_HALF_EVEN), PRICE_STEP)


def _take_trade(seen: _Seen, trade: TradePrint) -> bool:
    if seen.trade is not None and trade.at < seen.trade.at:
        return False
    changed = trade != seen.trade
    seen.trade = trade
    return changed


def _take_sides(seen: _Seen, sides: BidAsk) -> bool:
    if seen.sides is not None and sides.at < seen.sides.at:
        return False
    if sides.bid is not None and sides.ask is not None and sides.bid > sides.ask:
        return False
    changed = sides != seen.sides
    seen.sides = sides
    return changed


def _take_change(seen: _Seen, change: TradeChange) -> bool:
    """Correct or forget the newest trade when it is the one that is meant; an older one does not matter any more."""
    if seen.trade is None or not change.number or seen.trade.number != change.number:
        return False
    seen.trade = None if change.price is None else replace(seen.trade, price=change.price)
    return True


def _price(trade: TradePrint | None, sides: BidAsk | None) -> tuple[Decimal | None, datetime]:
    """Return the last price and its time."""
    if sides is None or (trade is not None and trade.at >= sides.at):
        assert trade is not None, "a view has a trade or a side"
        return trade.price, trade.at
    if trade is None:
        return None, sides.at
    if sides.bid is None or sides.ask is None or sides.ask - sides.bid > sides.ask * WIDEST_SPREAD:
        return trade.price, trade.at
    return min(max(trade.price, sides.bid), sides.ask), sides.at
