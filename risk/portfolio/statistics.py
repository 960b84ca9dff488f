"""Sample statistics in `Decimal`, with n - 1 in the denominator."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

ZERO = Decimal(0)
LEAST = 2
"""Fewer values have no variance."""

Sample = Sequence[Decimal]


def mean(values: Sample) -> Decimal:
    """Return the arithmetic mean.

    :raises ValueError: there is no value
    """
    if not values:
        raise ValueError("the mean of nothing")
    return sum(values, ZERO) / len(values)


def covariance(first: Sample, second: Sample) -> Decimal:
    """Return the sample covariance of two equally long series.

    :raises ValueError: fewer than two values, or of different length
    """
    if len(first) != len(second) or len(first) < LEAST:
        raise ValueError(f"covariance needs two series of one length from {LEAST}: got {len(first)} and {len(second)}")
    middle, other = mean(first), mean(second)
    total = sum(((a - middle) * (b - other) for a, b in zip(first, second, strict=True)), ZERO)
    return total / (len(first) - 1)


def deviation(values: Sample) -> Decimal:
    """Return the sample standard deviation."""
    return covariance(values, values).sqrt()


def correlation(first: Sample, second: Sample) -> Decimal | None:
    """Return Pearson's coefficient, None where one of the series does not move."""
    spread = deviation(first) * deviation(second)
    if spread == 0:
        return None
    return min(max(covariance(first, second) / spread, Decimal(-1)), Decimal(1))


def beta(values: Sample, market: Sample) -> Decimal | None:
    """Return covariance with the market over the market's variance (Sharpe 1964), None for a market that stands."""
    variance = covariance(market, market)
    return None if variance == 0 else covariance(values, market) / variance


def correlation_matrix(returns: Mapping[str, Sample]) -> dict[tuple[str, str], Decimal | None]:
    """Return the coefficient of each pair of names, the pair in the order of the alphabet."""
    names = sorted(returns)
    return {
        (name, other): correlation(returns[name], returns[other])
        for position, name in enumerate(names)
        for other in names[position + 1 :]
    }
