"""Value at risk and expected shortfall of one day, as losses: positive is money lost, account currency."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from enum import Enum

from risk.portfolio.statistics import deviation, mean


class Confidence(Enum):
    """Levels, with the quantile z of the standard normal and its expected shortfall phi(z) / (1 - level)."""

    P95 = ("0.95", "1.6448536269514722", "2.0627128075074257")
    P99 = ("0.99", "2.3263478740408408", "2.6652142203457981")

    @property
    def level(self) -> Decimal:
        """Return the part of days on which less is lost."""
        return Decimal(self.value[0])

    @property
    def quantile(self) -> Decimal:
        """Return z, with P(Z <= z) = level."""
        return Decimal(self.value[1])

    @property
    def tail_mean(self) -> Decimal:
        """Return E(Z | Z > z)."""
        return Decimal(self.value[2])


def historical_var(profits: Sequence[Decimal], confidence: Confidence) -> Decimal:
    """Return the loss that was exceeded on at most (1 - level) of the days: the order statistic of rank ceil(n level).

    McNeil, Frey, Embrechts 2005, section 2.2 (the quantile of the empirical distribution; no interpolation).
    :raises ValueError: there is no day
    """
    losses = sorted(-profit for profit in profits)
    if not losses:
        raise ValueError("value at risk of no days")
    return losses[_rank(len(losses), confidence) - 1]


def historical_shortfall(profits: Sequence[Decimal], confidence: Confidence) -> Decimal:
    """Return the mean loss of the days that were as bad as the value at risk or worse."""
    losses = sorted(-profit for profit in profits)
    if not losses:
        raise ValueError("expected shortfall of no days")
    return mean(losses[_rank(len(losses), confidence) - 1 :])


def parametric_var(profits: Sequence[Decimal], confidence: Confidence, *, volatility: Decimal = Decimal(1)) -> Decimal:
    """Return z sigma - mu of normally distributed profits (McNeil et al. 2005, eq. 2.18).

    `volatility` multiplies sigma. The profits are those of today's holdings, so that sigma squared is w' Sigma w.
    """
    return confidence.quantile * deviation(profits) * volatility - mean(profits)


def parametric_shortfall(profits: Sequence[Decimal], confidence: Confidence) -> Decimal:
    """Return sigma phi(z) / (1 - level) - mu (McNeil et al. 2005, eq. 2.19)."""
    return confidence.tail_mean * deviation(profits) - mean(profits)


def _rank(days: int, confidence: Confidence) -> int:
    return int((confidence.level * days).to_integral_value(ROUND_CEILING))
