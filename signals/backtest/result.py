"""What a backtest gives back: equity, orders, and a row of facts a session."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from signals.backtest.engine import Trace
from signals.backtest.panel import FloatArray, Panel
from signals.backtest.rules import Rules


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """Frames sorted by date; amounts in account currency, quantities in shares, fractional.

    `equity`: `date, equity` after the session's trades and costs, at the close. `orders`: `date, symbol, quantity`
    (signed), `price`, `cost` (commission, half spread and impact). `days`: a row a session with equity, cash, value
    long and short, traded notional and each kind of cost.
    """

    equity: pl.DataFrame
    orders: pl.DataFrame
    days: pl.DataFrame
    capital: float

    @property
    def final_equity(self) -> float:
        """Return the last session's equity."""
        return float(self.equity["equity"][-1])


def result_of(panel: Panel, trace: Trace, rules: Rules) -> BacktestResult:
    """Read a trace: orders are the changes of the holdings."""
    dates = pl.Series("date", panel.dates, dtype=pl.Date)
    orders, traded = _orders(panel, trace, rules, dates)
    values = trace.holdings * trace.marks
    gross, net = np.abs(values).sum(axis=1), values.sum(axis=1)
    days = pl.DataFrame(
        {
            "date": dates,
            "equity": trace.equity,
            "cash": trace.cash,
            "long_value": (gross + net) / 2,
            "short_value": (gross - net) / 2,
            "traded": traded,
            "commission": trace.commission,
            "spread": trace.spread,
            "impact": trace.impact,
            "borrow": trace.borrow,
            "unpriced": trace.unpriced,
        }
    )
    return BacktestResult(days.select("date", "equity"), orders, days, rules.capital)


def _orders(panel: Panel, trace: Trace, rules: Rules, dates: pl.Series) -> tuple[pl.DataFrame, FloatArray]:
    """Return the orders and the notional traded each session; what was settled is listed without cost."""
    changes = np.diff(trace.holdings, axis=0, prepend=0.0)
    rows, columns = np.nonzero(changes)
    quantity = changes[rows, columns]
    price = trace.fills[rows, columns]
    notional = np.abs(quantity * price)
    cost = notional * rules.costs.rate
    if trace.impact_by_order is not None:
        cost += trace.impact_by_order[rows, columns]
    if trace.settled.size:
        gone = trace.settled[rows, columns]
        worth = trace.marks[rows, columns] * (1.0 + rules.delisting_return)
        price, notional, cost = np.where(gone, worth, price), np.where(gone, 0.0, notional), np.where(gone, 0.0, cost)
    symbols = pl.Series(panel.symbols, dtype=pl.String).gather(columns)
    frame = pl.DataFrame(
        {"date": dates.gather(rows), "symbol": symbols, "quantity": quantity, "price": price, "cost": cost}
    )
    traded: FloatArray = np.bincount(rows, weights=notional, minlength=len(panel.dates)).astype(np.float64)
    return frame, traded
