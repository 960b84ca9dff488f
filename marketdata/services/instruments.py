"""Instruments and what is known about how they trade."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

import polars as pl
from django.db import transaction

from marketdata.calendar import latest_sessions
from marketdata.errors import MarketDataError
from marketdata.models import Instrument
from marketdata.models.instruments import SYMBOL_PATTERN
from marketdata.selectors import bars

ADV_SESSIONS = 20
ADV_MINIMUM_SESSIONS = 5
"""A new listing has an average after this many sessions; before, it has none, and checks that need it refuse."""


def ensure_instrument(*, symbol: str, name: str = "", exchange: str = "XNYS") -> Instrument:
    """Return the instrument, created where it is missing.

    :raises MarketDataError: the symbol has a form no exchange uses
    """
    _check_symbol(symbol)
    instrument, _ = Instrument.objects.get_or_create(symbol=symbol, defaults={"name": name, "exchange": exchange})
    return instrument


def ensure_instruments(*, symbols: Iterable[str]) -> dict[str, Instrument]:
    """Return the instruments by symbol, missing ones created, in two statements."""
    wanted = sorted(set(symbols))
    for symbol in wanted:
        _check_symbol(symbol)
    Instrument.objects.bulk_create([Instrument(symbol=symbol) for symbol in wanted], ignore_conflicts=True)
    return {instrument.symbol: instrument for instrument in Instrument.objects.filter(symbol__in=wanted)}


def average_daily_volumes(symbols: Sequence[str], as_of: date) -> dict[str, Decimal]:
    """Return the mean shares a session over the last 20 complete sessions up to `as_of`, in shares of that date.

    `as_of` is the last session that counts, so a day still trading is never in it. Symbols with fewer than five bars in
    those sessions are left out.
    """
    days = latest_sessions(as_of, ADV_SESSIONS)
    recent = bars(symbols, start=days[0], end=days[-1], adjustment="split", as_of=as_of)
    means = recent.group_by("symbol").agg(mean=pl.col("volume").mean(), count=pl.len())
    return {symbol: Decimal(round(mean)) for symbol, mean, count in means.iter_rows() if count >= ADV_MINIMUM_SESSIONS}


@transaction.atomic
def refresh_statistics(*, symbols: Sequence[str], as_of: date) -> int:
    """Store the average daily volumes as of a date, and return how many instruments have one; others lose an older one.

    Locks: the instruments, in the order of their ids.
    """
    volumes = average_daily_volumes(symbols, as_of)
    locked = Instrument.objects.select_for_update(of=("self",), no_key=True).filter(symbol__in=symbols).order_by("pk")
    instruments = list(locked)
    for instrument in instruments:
        instrument.average_daily_volume = volumes.get(instrument.symbol)
        instrument.adv_as_of = as_of if instrument.symbol in volumes else None
    Instrument.objects.bulk_update(instruments, ["average_daily_volume", "adv_as_of"])
    return len(volumes)


def _check_symbol(symbol: str) -> None:
    if not re.fullmatch(SYMBOL_PATTERN.strip("^$"), symbol):
        raise MarketDataError(f"symbol {symbol!r} is not allowed: 1 to 16 of A-Z 0-9 . - starting with a letter are")
