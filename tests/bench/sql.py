"""SQL over ten years of daily bars of 500 symbols, and features from the cache."""

from collections.abc import Callable
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter

from marketdata.selectors import bars
from signals import feature_store
from signals.features import alpha158
from tests.bench import generated_lake, seeding
from tests.bench.figures import Figures, latencies, verdict
from tests.bench.plan import Effort
from trading.sql.run import run_query

QUERIES = {
    "all rows counted": "SELECT count(*) FROM bars",
    "one symbol's year": "SELECT * FROM bars WHERE symbol = 'Z0123' AND date >= '2025-01-01' ORDER BY date",
    "by symbol": "SELECT symbol, count(*), min(low), max(high), avg(volume) FROM bars GROUP BY symbol ORDER BY symbol",
    "by month": "SELECT date_trunc('month', date) AS m, sum(close * volume) FROM bars GROUP BY m ORDER BY m",
    "volatility by window": (
        "WITH r AS (SELECT symbol, close / lag(close) OVER (PARTITION BY symbol ORDER BY date) - 1 AS r FROM bars) "
        "SELECT symbol, stddev(r) * sqrt(252) AS v FROM r GROUP BY symbol ORDER BY v DESC LIMIT 20"
    ),
    "best day of each name": "SELECT symbol, date, close / open - 1 AS r FROM bars QUALIFY "
    "row_number() OVER (PARTITION BY symbol ORDER BY close / open DESC) = 1 ORDER BY symbol",
}  # fmt: skip
COUNTS = (5, 500)


def measure(effort: Effort) -> Figures:
    """Ask each query, the engine's start included; look features up, computed and cached."""
    with generated_lake.lake():
        queries = {name: _times(effort.repeats, lambda query=query: _ask(query)) for name, query in QUERIES.items()}
        features = {str(count): _features(count, effort) for count in COUNTS}
    slowest = max(figures["p50_ms"] for figures in queries.values())
    return {
        "rows": generated_lake.SYMBOLS * generated_lake.SESSIONS,
        "queries": queries,
        "features": features,
        "targets": {
            "slowest query of ten years of 500 symbols, ms": verdict(slowest, most=1_000),
            "5 symbols' features from the cache, ms": verdict(features["5"]["cached"]["p50_ms"], most=5),
            "500 symbols' features from the cache, ms": verdict(features["500"]["cached"]["p50_ms"], most=60),
        },
    }


def _ask(query: str) -> None:
    answer = run_query(query, now=seeding.wall_now(), asked_by="bench")
    assert answer.rows


def _features(count: int, effort: Effort) -> Figures:
    symbols, session = generated_lake.names(count), generated_lake.LAST
    began = perf_counter()
    computed = feature_store.features_for(symbols=symbols, session=session)
    first = (perf_counter() - began) * 1000
    cached = feature_store.features_for(symbols=symbols, session=session)
    assert cached.source == "cache", cached.reason
    assert cached.frame.equals(computed.frame, null_equal=True)
    whole = perf_counter()
    alpha158(bars(symbols, end=session))
    return {
        "first_ms": round(first, 1),
        "cached": _times(10 * effort.repeats, lambda: feature_store.features_for(symbols=symbols, session=session)),
        "whole_history_ms": round((perf_counter() - whole) * 1000, 1),
    }


def _times(count: int, work: Callable[[], object]) -> Figures:
    samples, before = [], _processor_seconds()
    for _ in range(count):
        began = perf_counter()
        work()
        samples.append((perf_counter() - began) * 1000)
    return {**latencies(samples), "cpu_ms": round((_processor_seconds() - before) * 1000 / count, 2)}


def _processor_seconds() -> float:
    """Return what this process and the engines it has ended have used: a busy machine changes it little."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
