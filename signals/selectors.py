"""Reads over stored signals."""

from datetime import date
from decimal import Decimal

from django.db.models import QuerySet

from signals.models import Signal, SignalSet


def latest_signal_set(strategy: str, *, until: date | None = None) -> SignalSet | None:
    """Return the newest set of a strategy with an as-of date not after `until`."""
    sets = SignalSet.objects.filter(strategy=strategy)
    if until is not None:
        sets = sets.filter(as_of_date__lte=until)
    return sets.order_by("-as_of_date", "-pk").first()


def signals(*, strategy: str | None = None, as_of: date | None = None, symbol: str | None = None) -> QuerySet[Signal]:
    """Return signals with set and instrument, newest first, filtered by what is given."""
    rows = Signal.objects.select_related("signal_set", "instrument").order_by(
        "-signal_set__as_of_date", "signal_set__strategy", "-signal_set", "rank"
    )
    if strategy is not None:
        rows = rows.filter(signal_set__strategy=strategy)
    if as_of is not None:
        rows = rows.filter(signal_set__as_of_date=as_of)
    if symbol is not None:
        rows = rows.filter(instrument__symbol=symbol)
    return rows


def outcomes(signal_set: SignalSet) -> tuple[dict[str, Decimal], dict[str, str]]:
    """Return the weight of every scored symbol, zeros included, and why each other symbol has none. One query."""
    rows = signal_set.signals.order_by("instrument__symbol").values_list(
        "instrument__symbol", "target_weight", "excluded_reason"
    )
    weights = {symbol: weight for symbol, weight, reason in rows if not reason}
    return weights, {symbol: reason for symbol, _, reason in rows if reason}


def target_weights(signal_set: SignalSet) -> dict[str, Decimal]:
    """Return the weight of every scored symbol of a set, zeros included; excluded symbols are absent."""
    return outcomes(signal_set)[0]


def excluded_symbols(signal_set: SignalSet) -> dict[str, str]:
    """Return symbol → reason of what a set refused to score."""
    return outcomes(signal_set)[1]
