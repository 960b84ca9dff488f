"""The account and its configurations."""

from decimal import Decimal
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire.answers import account_answer, configurations_answer
from execution.alpaca_wire.errors import forbidden, malformed, unprocessable
from execution.models import Account, BrokerLink
from execution.selectors import realtime_pnl
from execution.services.halt import engage_kill_switch
from ops_console.alpaca_api.base import AlpacaView, wire_body
from ops_console.alpaca_api.holdings import holdings_of
from ops_console.alpaca_api.identity import ACCOUNT, uuid_of
from ops_console.api.base import caller_of
from ops_console.api.desk import desk
from ops_console.scopes import Scope
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.selectors import is_engaged

ZERO = Decimal(0)
SUSPENDED = "suspend_trade was set through the Alpaca-compatible API"
TWO_PEOPLE = (
    "suspend_trade cannot be cleared here: the kill switch is released by two people, one who asks and one who"
    " approves, in the console, with POST /api/v1/kill-switch/disengage or with manage.py kill_switch disengage"
)


class AccountView(AlpacaView):
    """GET /v2/account."""

    def get(self, request: Request) -> Response:
        """Answer with the account at the marks."""
        now = desk()
        account = now.account
        pnl = realtime_pnl(account, now.wall_now)
        values = [each.market_value for each in holdings_of(pnl.positions)]
        link = BrokerLink.objects.filter(account=account).first()
        return Response(
            account_answer(
                id=uuid_of(account, ACCOUNT, account.pk),
                account_number=account.account_number or account.name.upper(),
                cash=account.cash,
                long_market_value=sum((value for value in values if value > 0), ZERO),
                short_market_value=sum((value for value in values if value < 0), ZERO),
                last_equity=pnl.summary.day_base_equity,
                buying_power=pnl.summary.buying_power,
                multiplier=account.margin_multiplier,
                created_at=account.created_at,
                trading_blocked=link is not None and link.trading_blocked,
                trade_suspended_by_user=suspended(account),
            )
        )


class ConfigurationsView(AlpacaView):
    """GET and PATCH /v2/account/configurations."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.TRADE}

    def get(self, request: Request) -> Response:
        """Answer with the configurations; `suspend_trade` is our kill switch."""
        return Response(configurations_of(desk().account))

    def patch(self, request: Request) -> Response:
        """Engage the account's kill switch when `suspend_trade` is set; nothing else can be changed here."""
        body, now = wire_body(request), desk()
        stored = configurations_of(now.account)
        wanted = body.get("suspend_trade", stored["suspend_trade"])
        if not isinstance(wanted, bool):
            raise malformed("suspend_trade", wanted, "true or false")
        _refuse_changes(body, stored)
        if wanted and not stored["suspend_trade"]:
            engage_kill_switch(
                scope=now.account.scope,
                operator=caller_of(request).username,
                reason=SUSPENDED,
                source=KillSwitchEvent.Source.API,
                wall_now=now.wall_now,
            )
        elif stored["suspend_trade"] and not wanted:
            raise forbidden(TWO_PEOPLE)
        return Response(configurations_of(now.account))


def configurations_of(account: Account) -> dict[str, Any]:
    """Return the account's configurations."""
    return configurations_answer(suspended=suspended(account))


def suspended(account: Account) -> bool:
    """Tell whether the kill switch stops the whole account."""
    return is_engaged(GLOBAL_SCOPE) or is_engaged(account.scope)


def _refuse_changes(body: dict[str, Any], stored: dict[str, Any]) -> None:
    for name, value in body.items():
        if name == "suspend_trade" or value is None or name not in stored:
            continue
        if value != stored[name]:
            raise unprocessable(f"{name}: only suspend_trade can be changed here, {name} is {stored[name]!r}")
