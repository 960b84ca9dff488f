"""Count what signals refuse: `signal_feature_freshness_rejection_total{reason}`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import connection

from signals.models import RefusalCount

_COUNT = """
INSERT INTO signals_refusalcount AS kept (strategy, reason, count, last_at, last_detail) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (strategy, reason) DO UPDATE SET count = kept.count + excluded.count,
    last_at = greatest(kept.last_at, excluded.last_at), last_detail = excluded.last_detail
"""
LONGEST_DETAIL = 300


def count_refusals(*, strategy: str, refused: Mapping[str, str], wall_now: datetime) -> None:
    """Count symbols that were left out, by reason. One statement a reason."""
    for reason, number in sorted(Counter(refused.values()).items()):
        names = " ".join(sorted(symbol for symbol, why in refused.items() if why == reason))
        _add(strategy, str(reason), number, names, wall_now)


def count_refused_set(*, strategy: str, reason: str, detail: str, wall_now: datetime) -> None:
    """Count a whole set that was refused."""
    _add(strategy, reason, 1, detail, wall_now)


def refusal_totals(strategies: Iterable[str] | None = None) -> dict[tuple[str, str], int]:
    """Return the counts by strategy and reason."""
    rows = RefusalCount.objects.all()
    if strategies is not None:
        rows = rows.filter(strategy__in=list(strategies))
    return {(strategy, reason): count for strategy, reason, count in rows.values_list("strategy", "reason", "count")}


def _add(strategy: str, reason: str, number: int, detail: str, wall_now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [strategy, reason, number, wall_now, detail[:LONGEST_DETAIL]])
