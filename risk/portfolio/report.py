"""The risk of a portfolio at one moment, from its holdings and from daily closes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from risk.portfolio import stress
from risk.portfolio import value_at_risk as tail
from risk.portfolio.exposure import NO_SECTOR, ExposurePart, exposure_parts
from risk.portfolio.returns import Closes, ReturnTable, daily_returns
from risk.portfolio.statistics import beta, correlation_matrix, mean
from risk.portfolio.stress import VOLATILITY_SHOCK, StressResult
from risk.portfolio.value_at_risk import Confidence

ZERO = Decimal(0)
LOOKBACK = 250
"""Sessions that value at risk, beta and correlation look back: a year."""
FEWEST = 60
"""Sessions below which nothing is said of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Net value held in one name, account currency, negative when short."""

    symbol: str
    value: Decimal
    sector: str = ""


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Losses of one day at one level, account currency."""

    confidence: Confidence
    historical_var: Decimal
    historical_shortfall: Decimal
    parametric_var: Decimal
    parametric_shortfall: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRisk:
    """All of it; `tails` is empty when there is nothing to measure.

    `unmeasured` are held names with too little history: they are in the exposures and in the scenarios of the market
    (at a beta of 1) and of a single name, not in value at risk. `covered` is the measured part of gross exposure.
    """

    as_of: date | None
    sessions: int
    market: str
    by_name: list[ExposurePart]
    by_side: list[ExposurePart]
    by_sector: list[ExposurePart]
    unmeasured: tuple[str, ...] = ()
    covered: Decimal = ZERO
    tails: tuple[TailRisk, ...] = ()
    betas: Mapping[str, Decimal] = field(default_factory=dict)
    portfolio_beta: Decimal | None = None
    correlations: Mapping[tuple[str, str], Decimal | None] = field(default_factory=dict)
    stress: tuple[StressResult, ...] = ()


def measure(holdings: Sequence[Holding], closes: Closes, *, market: str, market_closes: Closes) -> PortfolioRisk:
    """Measure a portfolio; `market_closes` are of the names whose equally weighted mean is the market.

    `market` is how that is called. Values at risk use the newest `LOOKBACK` sessions that all measured names have, the
    worst days all that are stored.
    """
    held = [holding for holding in holdings if holding.value]
    values = {holding.symbol: holding.value for holding in held}
    known = {holding.symbol: closes[holding.symbol] for holding in held if len(closes.get(holding.symbol, ())) > FEWEST}
    table = daily_returns(known)
    if len(table.dates) < FEWEST:
        known, table = {}, ReturnTable((), {})
    year = table.last(LOOKBACK)
    betas = _betas(year, market_closes)
    profits = _profits(year, values)
    gross = sum((abs(value) for value in values.values()), ZERO)
    measured = sum((abs(values[symbol]) for symbol in known), ZERO)
    return PortfolioRisk(
        as_of=year.dates[-1] if year.dates else None,
        sessions=len(year.dates),
        market=market,
        by_name=exposure_parts(values.items()),
        by_side=exposure_parts(("long" if value > 0 else "short", value) for value in values.values()),
        by_sector=exposure_parts((holding.sector or NO_SECTOR, holding.value) for holding in held),
        unmeasured=tuple(sorted(set(values) - set(known))),
        covered=measured / gross if gross else ZERO,
        tails=tuple(_tail(profits, confidence) for confidence in Confidence) if profits else (),
        betas=betas,
        portfolio_beta=_portfolio_beta(values, betas, gross),
        correlations=correlation_matrix(year.of) if year.dates else {},
        stress=_scenarios(values, betas, profits, table),
    )


def _profits(table: ReturnTable, values: Mapping[str, Decimal]) -> list[Decimal]:
    """Return what today's holdings would have gained on each day."""
    return [
        sum((values[symbol] * rows[day] for symbol, rows in table.of.items()), ZERO) for day in range(len(table.dates))
    ]


def _tail(profits: Sequence[Decimal], confidence: Confidence) -> TailRisk:
    return TailRisk(
        confidence,
        tail.historical_var(profits, confidence),
        tail.historical_shortfall(profits, confidence),
        tail.parametric_var(profits, confidence),
        tail.parametric_shortfall(profits, confidence),
    )


def _betas(table: ReturnTable, market_closes: Closes) -> dict[str, Decimal]:
    """Return the beta of each name on the days that it shares with the market."""
    market_of = _market(market_closes)
    common = [i for i, day in enumerate(table.dates) if day in market_of]
    if len(common) < FEWEST:
        return {}
    market = [market_of[table.dates[i]] for i in common]
    found = {symbol: beta([rows[i] for i in common], market) for symbol, rows in table.of.items()}
    return {symbol: value for symbol, value in found.items() if value is not None}


def _market(closes: Closes) -> dict[date, Decimal]:
    """Return the mean return of each day, over the names that have one: some were listed later than others."""
    returns: dict[date, list[Decimal]] = {}
    for symbol, rows in closes.items():
        table = daily_returns({symbol: rows})
        for day, value in zip(table.dates, table.of[symbol], strict=True):
            returns.setdefault(day, []).append(value)
    return {day: mean(values) for day, values in returns.items()}


def _portfolio_beta(values: Mapping[str, Decimal], betas: Mapping[str, Decimal], gross: Decimal) -> Decimal | None:
    """Return the beta of the book: of each unit of gross exposure, how much moves with the market."""
    if not betas or not gross:
        return None
    return sum((value * betas[symbol] for symbol, value in values.items() if symbol in betas), ZERO) / gross


def _scenarios(
    values: Mapping[str, Decimal], betas: Mapping[str, Decimal], profits: Sequence[Decimal], table: ReturnTable
) -> tuple[StressResult, ...]:
    if not values:
        return ()
    found = [*stress.market_falls(values, betas), *stress.one_name_moves(values)]
    if profits:
        loss = tail.parametric_var(profits, Confidence.P95, volatility=VOLATILITY_SHOCK)
        found.append(StressResult("volatility_doubles", "Volatility doubles: a bad day in 20", -loss))
        found += stress.worst_days(_profits(table, values), table.dates)
    return tuple(found)
