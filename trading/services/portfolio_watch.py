"""Look at the portfolio as a whole every few minutes: how much a bad day may cost, which names are one bet."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.models import Account
from risk.correlations import alike_pairs
from risk.models import Alert
from risk.portfolio import Confidence, PortfolioRisk
from risk.selectors import limit_book
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity, AlertState
from trading.services.portfolio_risk import measure_correlations, portfolio_risk
from trading.services.risk_watch import read_view

VAR_CODE, ALIKE_CODE = "value_at_risk", "correlated_names"
HUNDRED, CENT = Decimal(100), Decimal("0.01")


def look_at_portfolio(*, account: Account, wall_now: datetime) -> PortfolioRisk:
    """Measure correlations once a session, and the portfolio; tell people of what is over its limit, and when it ends.

    These limits stop no order: what history says of tomorrow is a reason to look, not a rule.
    """
    measure_correlations(account=account, wall_now=wall_now)
    view = read_view(account=account, wall_now=wall_now)
    found = portfolio_risk(account=account, wall_now=wall_now, view=view)
    limits = limit_book().resolve(strategy="", symbol="").account
    with transaction.atomic():
        _tell_var(account, found, view.equity, limits.max_var_pct, wall_now)
        held = {line.symbol for line in view.lines if line.quantity}
        _tell_pairs(account, held, limits.max_correlation_pct, wall_now)
    return found


def var_pct(found: PortfolioRisk, equity: Decimal) -> Decimal | None:
    """Return the larger of both values at risk at 95% in percent of equity; None when nothing is measured."""
    tail = next((one for one in found.tails if one.confidence == Confidence.P95), None)
    if tail is None or not equity.is_finite() or equity <= 0:
        return None
    return max(tail.historical_var, tail.parametric_var) / equity * HUNDRED


def _tell_var(account: Account, found: PortfolioRisk, equity: Decimal, allowed: Decimal, wall_now: datetime) -> None:
    share = var_pct(found, equity)
    if share is None or share <= allowed:
        resolve_alert(code=VAR_CODE, subject=account.scope, now=wall_now)
        return
    raise_alert(
        code=VAR_CODE,
        subject=account.scope,
        severity=AlertSeverity.WARNING,
        message=f"On one day in 20 more than {share.quantize(CENT):f}% of equity is lost, {allowed.normalize():f}% is"
        " the limit",
        now=wall_now,
    )


def _tell_pairs(account: Account, held: set[str], above_pct: Decimal, wall_now: datetime) -> None:
    """Tell of held pairs that are one bet; pairs that are none any longer are over."""
    told: set[str] = set()
    for pair in alike_pairs(held, above_pct=above_pct):
        subject = f"{account.scope} symbols:{pair.symbol},{pair.other}"
        told.add(subject)
        raise_alert(
            code=ALIKE_CODE,
            subject=subject,
            severity=AlertSeverity.WARNING,
            message=f"{pair.symbol} and {pair.other} moved alike lately (correlation {pair.coefficient:.2f})",
            now=wall_now,
        )
    open_ones = Alert.objects.filter(code=ALIKE_CODE, subject__startswith=f"{account.scope} ")
    for subject in open_ones.exclude(state=AlertState.RESOLVED).values_list("subject", flat=True):
        if subject not in told:
            resolve_alert(code=ALIKE_CODE, subject=subject, now=wall_now)
