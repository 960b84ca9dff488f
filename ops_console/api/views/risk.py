"""What the watch sees, and what the portfolio may lose."""

from rest_framework.request import Request
from rest_framework.response import Response

from ops_console.api.answers.risk import (
    BreakerStatusSerializer,
    PortfolioRiskSerializer,
    breaker_status_answer,
    portfolio_answer,
)
from ops_console.api.base import ApiView
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from risk import selectors
from trading.services.portfolio_risk import portfolio_risk
from trading.services.portfolio_watch import var_pct
from trading.services.risk_watch import latest_look, look_again, read_view


class BreakerStatusView(ApiView):
    """The account's breaker and its causes."""

    @documented(
        "circuit_breaker_status",
        "State of the circuit breaker, and what is seen of each of its causes",
        description="`would_trip_again` looks now: a reset while it names a cause would not last.",
        answers={200: BreakerStatusSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return the breaker as the gate sees it, and its causes as the watch does."""
        now = desk()
        again = look_again(account=now.account, wall_now=now.wall_now)
        status = selectors.breaker_status(now.account.scope, now.wall_now)
        return Response(breaker_status_answer(status, latest_look(now.account), again))


class RiskVarView(ApiView):
    """What the portfolio may lose."""

    @documented(
        "risk_var",
        "Value at risk, expected shortfall, beta, correlation, stress and exposure",
        description="Of what the desk holds now, by the daily bars of the year before this session.",
        answers={200: PortfolioRiskSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return the measures of the holdings."""
        now = desk()
        view = read_view(account=now.account, wall_now=now.wall_now)
        found = portfolio_risk(account=now.account, wall_now=now.wall_now, view=view)
        allowed = selectors.limit_book().resolve(strategy="", symbol="").account.max_var_pct
        share = var_pct(found, view.equity)
        return Response(portfolio_answer(found, equity=view.equity, share=share, allowed=allowed))
