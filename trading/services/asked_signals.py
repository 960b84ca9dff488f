"""Signals that a person or a program asks for, outside of a run: stored like any others, traded by nobody."""

from collections.abc import Sequence
from datetime import date, datetime

from marketdata import calendar
from marketdata.models import Instrument
from signals.models import SignalSet
from signals.parameters import BadParameter
from signals.services.generation import generate_signals
from signals.strategies.registry import get_strategy, strategy_names
from trading.errors import EmptyUniverseError


def newest_close(market_now: datetime) -> date:
    """Return the last session whose close the market has seen."""
    return calendar.previous_session(calendar.trading_date(market_now))


def asked_signals(
    *, strategy: str, symbols: Sequence[str] | None, as_of: date | None, market_now: datetime, wall_now: datetime
) -> tuple[SignalSet, bool]:
    """Return a strategy's signals as of a close, made with its active model and from no holdings; False: stored before.

    The newest close that the market has seen and every tradable instrument, when nothing else is asked for. Names
    without a fresh bar are excluded and named in the set.
    :raises BadParameter: an unknown strategy, or a date that is no session or that the market has not seen
    :raises EmptyUniverseError: no instrument is tradable
    :raises SignalError: an unknown symbol, no usable model, or data that must not be used
    """
    if strategy not in strategy_names():
        raise BadParameter("strategy", strategy, f"one of {', '.join(strategy_names())}")
    last = newest_close(market_now)
    day = last if as_of is None else as_of
    if day > last or not calendar.is_session(day):
        raise BadParameter("as_of", day.isoformat(), f"a session up to {last.isoformat()}, the newest close")
    tradable = Instrument.objects.filter(tradable=True).order_by("symbol").values_list("symbol", flat=True)
    wanted = list(dict.fromkeys(symbols)) if symbols else list(tradable)
    if not wanted:
        raise EmptyUniverseError("no instrument is tradable")
    newest = SignalSet.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    made = generate_signals(strategy=get_strategy(strategy), symbols=wanted, as_of=day, wall_now=wall_now)
    return made, made.pk > newest
