"""What trading costs and what it may do. Rates in basis points of the traded notional, amounts in account currency.

Square-root law of impact: an order that is the share q of a day's volume moves its price by about σ √q, σ being the
daily volatility (Torre and Ferrari 1997; Grinold and Kahn 2000, chapter 16; Tóth et al. 2011, "Anomalous price impact
and the critical nature of liquidity", for Y near 1). Almgren, Thum, Hauptmann and Li 2005, "Direct estimation of equity
market impact", measured an exponent of 0.6 ± 0.04 for the temporary part on US large caps: near enough to one half.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from signals.backtest.panel import BoolArray, FloatArray
from signals.errors import BacktestInputError

BASIS_POINT = 1e-4
DAYS_A_YEAR = 360
"""Stock loan is charged by calendar day over 360, as US securities lending does."""
MOST_BPS = 10_000.0


@dataclass(frozen=True, slots=True)
class Costs:
    """What an order costs beside its price.

    `commission_bps` and `half_spread_bps` of the notional; `impact` is the Y of the square-root law (0: none, 1:
    usual); `borrow_bps` a year of the value of what is short.
    """

    commission_bps: float = 0.0
    half_spread_bps: float = 0.0
    impact: float = 0.0
    borrow_bps: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no cost.

        :raises BacktestInputError: negative, infinite or over 100%
        """
        for each in fields(self):
            most = 100.0 if each.name == "impact" else MOST_BPS
            require_between(each.name, getattr(self, each.name), 0.0, most)

    @property
    def rate(self) -> float:
        """Return commission and half spread as one fraction of the notional."""
        return (self.commission_bps + self.half_spread_bps) * BASIS_POINT


@dataclass(frozen=True, slots=True)
class Rules:
    """How targets are traded.

    `capital` in account currency. `delay` sessions lie between the close that decides and the trade; 0 does not exist,
    it would trade on what is not known yet. `invested` scales every weight. `max_participation` bounds an order by a
    share of the average daily volume; what is cut off is tried again on the next sessions. A name without a price for
    `settle_after` sessions in a row is taken off the book at its last price times `1 + delisting_return` (Shumway 1997
    found −30% for names delisted for bad performance); None keeps it at its last price.
    """

    capital: float = 1e7
    delay: int = 1
    invested: float = 1.0
    max_participation: float | None = None
    settle_after: int | None = None
    delisting_return: float = 0.0
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        """Refuse what cannot be traded by.

        :raises BacktestInputError: a field outside its range
        """
        require_between("capital", self.capital, 1e-6, 1e15)
        require_between("delay", self.delay, 1, 60)
        require_between("invested", self.invested, 1e-6, 10.0)
        require_between("delisting_return", self.delisting_return, -1.0, 10.0)
        if self.max_participation is not None:
            require_between("max_participation", self.max_participation, 1e-6, 1.0)
        if self.settle_after is not None:
            require_between("settle_after", self.settle_after, 1, 10_000)


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What was known the evening before each session, `(n_days, n_symbols)`, NaN where nothing was.

    `volume` is the average daily volume (account currency), `volatility` the standard deviation of daily returns.
    """

    volume: FloatArray
    volatility: FloatArray

    def impact(self, day: int, notional: FloatArray, coefficient: float) -> FloatArray:
        """Return what orders of these notionals cost by the square-root law; NaN where nothing is known of a name."""
        volume = self.volume[day]
        share = np.divide(notional, volume, out=np.full_like(notional, np.nan), where=volume > 0)
        cost: FloatArray = coefficient * self.volatility[day] * np.sqrt(share) * notional
        return cost


def liquidity_of(closes: FloatArray, turnover: FloatArray, *, sessions: int = 20) -> Liquidity:
    """Measure liquidity over the last `sessions` sessions before each one.

    `closes` are adjusted, for the volatility; `turnover` is raw close times raw volume (account currency), because an
    adjusted price would make the past less liquid than it was. Averages take what is there of a window, from two
    sessions on.
    """
    return Liquidity(
        volume=_lagged(_window(turnover, sessions)[0]),
        volatility=_lagged(_window(_returns(closes), sessions)[1]),
    )


def require_between(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside a range, NaN included.

    :raises BacktestInputError: it is
    """
    if not least <= value <= most:
        raise BacktestInputError(name, value, f"a number from {least:g} to {most:g}")


def _returns(closes: FloatArray) -> FloatArray:
    returns = np.full_like(closes, np.nan)
    returns[1:] = closes[1:] / closes[:-1] - 1.0
    return returns


def _window(values: FloatArray, sessions: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and sample deviation over trailing windows, skipping NaN; NaN with fewer than two values."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    count = _trailing_sum(known.astype(float), sessions)
    total, squares = _trailing_sum(filled, sessions), _trailing_sum(filled * filled, sessions)
    enough: BoolArray = count >= 2
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=enough)
    spread = np.maximum(squares - total * np.nan_to_num(mean), 0.0)
    variance = np.divide(spread, count - 1, out=np.full_like(total, np.nan), where=enough)
    return mean, np.sqrt(variance)


def _trailing_sum(values: FloatArray, sessions: int) -> FloatArray:
    summed = np.cumsum(values, axis=0)
    summed[sessions:] = summed[sessions:] - summed[:-sessions]
    return summed


def _lagged(values: FloatArray) -> FloatArray:
    shifted = np.full_like(values, np.nan)
    shifted[1:] = values[:-1]
    return shifted
