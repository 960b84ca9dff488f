"""Backtests one can trust: scores or weights in, equity and orders out, nothing known before its time."""

from signals.backtest.ranked import long_short
from signals.backtest.result import BacktestResult
from signals.backtest.rules import Costs, Rules

__all__ = ["BacktestResult", "Costs", "Rules", "long_short"]
