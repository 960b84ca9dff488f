"""Reads over stored signals."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, Max, Min, QuerySet, Sum

from signals.models import ShadowResult, ShadowRole, ShadowSet, Signal, SignalSet

SIX = Decimal("0.000001")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """What one version's weights brought over the sessions compared, as fractions of the capital; `pnl` in currency.

    `returned` is the sum of the sessions after cost, `failures` the closes it could say nothing about.
    """

    version: int
    number: int
    role: str
    sessions: int
    first: date | None
    last: date | None
    returned: Decimal
    turnover: Decimal
    pnl: Decimal
    rank_ic: Decimal | None
    failures: int


def shadow_comparison(strategy: str, *, sessions: int = 250) -> list[VersionRecord]:
    """Return the active version and its shadows side by side over the newest sessions. Three queries.

    A version that was in the shadow first and active later has a line for each.
    """
    results = ShadowResult.objects.filter(strategy=strategy)
    days = results.order_by("-session").values_list("session", flat=True).distinct()[:sessions]
    oldest = min(days, default=None)
    grouped = (
        results.filter(session__gte=oldest or date.min)
        .values("version_id", "version__number", "role")
        .annotate(
            sessions=Count("id"),
            first=Min("session"),
            last=Max("session"),
            gross=Sum("gross_return"),
            cost=Sum("cost"),
            turned=Avg("turnover"),
            brought=Sum("pnl"),
            information=Avg("rank_ic"),
        )
        .order_by("role", "version__number")
    )
    failed = (
        ShadowSet.objects.filter(strategy=strategy).exclude(failure="").values_list("version_id", "version__number")
    )
    failures = Counter(failed)
    lines = [_record(row, failures) for row in grouped]
    seen = {(line.version, line.number) for line in lines if line.role == ShadowRole.SHADOW}
    return lines + [_nothing_yet(key, number) for key, number in sorted(failures.items()) if key not in seen]


def _record(row: Mapping[str, Any], failures: Counter[tuple[int, int]]) -> VersionRecord:
    key = (row["version_id"], row["version__number"])
    return VersionRecord(
        version=row["version_id"],
        number=row["version__number"],
        role=row["role"],
        sessions=row["sessions"],
        first=row["first"],
        last=row["last"],
        returned=row["gross"] - row["cost"],
        turnover=row["turned"].quantize(SIX),
        pnl=row["brought"],
        rank_ic=None if row["information"] is None else Decimal(repr(row["information"])).quantize(SIX),
        failures=failures[key] if row["role"] == ShadowRole.SHADOW else 0,
    )


def _nothing_yet(key: tuple[int, int], failures: int) -> VersionRecord:
    return VersionRecord(
        version=key[0],
        number=key[1],
        role=str(ShadowRole.SHADOW),
        sessions=0,
        first=None,
        last=None,
        returned=Decimal(0),
        turnover=Decimal(0),
        pnl=Decimal(0),
        rank_ic=None,
        failures=failures,
    )
