"""Positions, P&L, closed days and the account."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from execution.models import Account
from execution.models.accounts import DayResult
from execution.selectors import AccountSummary, PositionView, RealtimePnl
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, list_of, names_of
from ops_console.api.wire import decimal_text


class PositionSerializer(Shape):
    """One line of a strategy's sub-ledger at its mark; money in account currency."""

    strategy = serializers.CharField()
    symbol = serializers.CharField()
    quantity = DecimalText(help_text="Shares, negative when short.")
    average_price = NullableDecimalText(help_text="Null when flat.")
    cost_basis = DecimalText(help_text="Signed like the quantity.")
    current_price = DecimalText()
    current_price_at = Instant(help_text="Market time.")
    is_stale = serializers.BooleanField(help_text="The price is older than allowed.")
    market_value = DecimalText()
    unrealized_pnl = DecimalText()
    realized_pnl = DecimalText(help_text="Dividends included, fees not.")
    dividends = DecimalText()
    fees = DecimalText()
    open_buy_quantity = DecimalText(help_text="Shares in open buy orders.")
    open_sell_quantity = DecimalText(help_text="Shares in open sell orders.")


class AccountSerializer(Shape):
    """The account now, at the marks; money in account currency."""

    account = serializers.CharField()
    mode = serializers.ChoiceField(choices=Account.Mode.choices)
    reconciliation = serializers.ChoiceField(choices=Account.Reconciliation.choices)
    reconciled_at = Instant(allow_null=True, help_text="Wall time.")
    market_at = Instant(help_text="Market time.")
    trading_date = serializers.DateField()
    cash = DecimalText()
    equity = DecimalText()
    starting_cash = DecimalText()
    day_base_equity = DecimalText(help_text="Equity at the close before.")
    day_pnl = DecimalText()
    realized_pnl = DecimalText(help_text="Since the start, dividends included.")
    unrealized_pnl = DecimalText()
    dividends = DecimalText()
    fees = DecimalText()
    gross_exposure = DecimalText()
    net_exposure = DecimalText()
    buying_power = DecimalText()
    drawdown = DecimalText(help_text="From the highest equity, as a share of it.")
    open_orders = serializers.IntegerField()
    names = serializers.IntegerField(help_text="Names held.")
    stale_marks = serializers.IntegerField(help_text="Held names whose price is too old.")


class StrategyPnlSerializer(Shape):
    """Sums over one strategy's lines."""

    strategy = serializers.CharField()
    realized_pnl = DecimalText()
    unrealized_pnl = DecimalText()
    dividends = DecimalText()
    fees = DecimalText()
    gross = DecimalText(help_text="Sum of the absolute market values.")


class RealtimePnlSerializer(Shape):
    """P&L now."""

    account = AccountSerializer()
    by_strategy = StrategyPnlSerializer(many=True)
    positions = PositionSerializer(many=True)


class DaySerializer(Shape):
    """How a session closed; the last three are null for a single strategy."""

    date = serializers.DateField()
    realized_pnl = DecimalText()
    unrealized_pnl = DecimalText()
    fees = DecimalText()
    dividends = DecimalText()
    pnl = DecimalText()
    gross_exposure = DecimalText()
    net_exposure = DecimalText()
    turnover = DecimalText()
    order_count = serializers.IntegerField()
    fill_count = serializers.IntegerField()
    cash = NullableDecimalText()
    equity = NullableDecimalText()
    peak_equity = NullableDecimalText()


PositionListSerializer = list_of(PositionSerializer, "PositionListSerializer")
DayListSerializer = list_of(DaySerializer, "DayListSerializer")

MILLIONTH = Decimal("0.000001")
SHARED_DAY = tuple(name for name in names_of(DaySerializer) if name not in {"cash", "equity", "peak_equity"})


def position_answer(view: PositionView) -> Answer:
    """Return one line; decimals and times are written by the renderer."""
    body = asdict(view)
    del body["position_id"]
    return body


def account_answer(account: Account, summary: AccountSummary) -> Answer:
    """Return the account's totals and whether its book agrees with the broker's."""
    return {
        **asdict(summary),
        "reconciliation": account.reconciliation,
        "reconciled_at": account.reconciled_at,
        "drawdown": decimal_text(summary.drawdown.quantize(MILLIONTH)),
    }


def pnl_answer(account: Account, pnl: RealtimePnl) -> Answer:
    """Return the account, the sums by strategy, and every line that is not flat."""
    return {
        "account": account_answer(account, pnl.summary),
        "by_strategy": [{"strategy": name, **sums} for name, sums in sorted(pnl.by_strategy.items())],
        "positions": [
            position_answer(view)
            for view in pnl.positions
            if view.quantity or view.open_buy_quantity or view.open_sell_quantity
        ],
    }


def day_answer(row: DayResult) -> Answer:
    """Return one closed session."""
    body: dict[str, Any] = {name: getattr(row, name) for name in SHARED_DAY}
    for name in ("cash", "equity", "peak_equity"):
        body[name] = getattr(row, name, None)
    return body
