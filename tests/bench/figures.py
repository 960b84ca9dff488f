"""Summaries of what was measured: medians over repeats, with the least and the most."""

from collections.abc import Sequence
from statistics import median
from typing import Any

Figures = dict[str, Any]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of an ascending sequence lies (nearest rank)."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latencies(samples: Sequence[float]) -> Figures:
    """Describe durations given in milliseconds."""
    ordered = sorted(samples)
    return {
        "n": len(ordered),
        "p50_ms": round(percentile(ordered, 0.50), 3),
        "p95_ms": round(percentile(ordered, 0.95), 3),
        "p99_ms": round(percentile(ordered, 0.99), 3),
        "max_ms": round(ordered[-1], 3) if ordered else 0.0,
    }


def over_repeats(repeats: Sequence[Figures]) -> Figures:
    """Merge the figures of repeats: numbers become their median, with the range beside it; counts are summed."""
    merged: Figures = {"repeats": len(repeats)}
    for name, value in repeats[0].items():
        values = [repeat[name] for repeat in repeats]
        if name in {"n", "errors"}:
            merged[name] = sum(values)
        elif isinstance(value, (int, float)):
            merged[name] = round(median(values), 3)
            merged[f"{name}_range"] = [round(min(values), 3), round(max(values), 3)]
        elif any(values):
            merged[name] = next(filter(None, values))
    return merged


def ratio(ours: Sequence[Figures], other: Sequence[Figures], name: str) -> Figures:
    """Compare pairs that were measured one right after the other: the median of their ratios."""
    pairs = [mine[name] / theirs[name] for mine, theirs in zip(ours, other, strict=True) if theirs[name]]
    if not pairs:
        return {"ratio": None}
    return {"ratio": round(median(pairs), 3), "ratio_range": [round(min(pairs), 3), round(max(pairs), 3)]}


def verdict(value: float | None, *, least: float | None = None, most: float | None = None) -> Figures:
    """Put a figure beside its target."""
    target = {"at_least": least} if least is not None else {"at_most": most}
    if value is None:
        return {"value": None, **target, "met": None}
    met = (least is None or value >= least) and (most is None or value <= most)
    return {"value": value, **target, "met": met}
