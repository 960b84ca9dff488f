"""How much a portfolio may lose: value at risk, expected shortfall, beta, correlation, stress. Pure, in `Decimal`."""

from risk.portfolio.exposure import ExposurePart, exposure_parts
from risk.portfolio.report import Holding, PortfolioRisk, TailRisk, measure
from risk.portfolio.returns import ReturnTable, daily_returns
from risk.portfolio.statistics import beta, correlation, correlation_matrix
from risk.portfolio.stress import StressResult
from risk.portfolio.value_at_risk import Confidence

__all__ = [
    "Confidence",
    "ExposurePart",
    "Holding",
    "PortfolioRisk",
    "ReturnTable",
    "StressResult",
    "TailRisk",
    "beta",
    "correlation",
    "correlation_matrix",
    "daily_returns",
    "exposure_parts",
    "measure",
]
