"""What today's holdings would lose in a scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)
MARKET_SHOCKS = (Decimal("-0.10"), Decimal("-0.20"))
SINGLE_NAME = Decimal("0.30")
VOLATILITY_SHOCK = Decimal(2)
WORST_DAYS = 3


@dataclass(frozen=True, slots=True)
class StressResult:
    """One scenario: profit of the holdings, account currency; negative is a loss."""

    name: str
    label: str
    profit: Decimal
    detail: str = ""


def market_falls(values: Mapping[str, Decimal], betas: Mapping[str, Decimal]) -> list[StressResult]:
    """Let the market fall and each name with it by its beta; a name whose beta is unknown falls as the market does."""
    found = []
    for shock in MARKET_SHOCKS:
        profit = sum((value * betas.get(symbol, Decimal(1)) * shock for symbol, value in values.items()), ZERO)
        percent = f"{abs(shock) * 100:.0f}"
        found.append(StressResult(f"market_minus_{percent}", f"The market falls by {percent}%", profit))
    return found


def one_name_moves(values: Mapping[str, Decimal]) -> list[StressResult]:
    """Let the one name move by 30% that hurts most: a long one falls, a short one rises."""
    if not any(values.values()):
        return []
    symbol, value = max(values.items(), key=lambda item: (abs(item[1]), item[0]))
    verb = "falls" if value > 0 else "rises"
    return [StressResult("single_name_30", f"{symbol} {verb} by 30%", -abs(value) * SINGLE_NAME, symbol)]


def worst_days(profits: Sequence[Decimal], dates: Sequence[date]) -> list[StressResult]:
    """Return what the worst days on record would do to today's holdings, the worst first."""
    days = sorted(zip(profits, dates, strict=True))[:WORST_DAYS]
    return [
        StressResult(f"worst_day_{number}", f"As on {day.isoformat()}", profit, day.isoformat())
        for number, (profit, day) in enumerate(days, start=1)
        if profit < 0
    ]
