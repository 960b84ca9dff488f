"""How good scores are: pure arithmetic over `date, symbol, score` and what came after."""

from signals.evaluation.correlation import Information, daily_ic, information, information_decay
from signals.evaluation.quantiles import daily_quantiles, long_short, quantile_means
from signals.evaluation.report import evaluate
from signals.evaluation.turnover import daily_turnover

__all__ = [
    "Information",
    "daily_ic",
    "daily_quantiles",
    "daily_turnover",
    "evaluate",
    "information",
    "information_decay",
    "long_short",
    "quantile_means",
]
