"""The desk's tables; page and socket render each row from one template."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.template.loader import get_template

from execution.models import Account, Fill, Order, Strategy, StrategyDay
from execution.selectors import PositionView, RealtimePnl, open_orders
from ops_console.snapshot.board import Topic
from trading import selectors as trading_selectors

LATEST = 12
MOST_OPEN = 100
ZERO = Decimal(0)


def rendered(template: str, items: Iterable[tuple[Any, dict[str, Any]]]) -> dict[str, str]:
    """Render one row for each (id, context)."""
    row = get_template(f"ops_console/rows/{template}.html")
    return {str(key): row.render(context) for key, context in items}


def positions(pnl: RealtimePnl, market_at: datetime) -> Topic:
    """Return what is held or about to be, one row for each line of a sub-ledger."""
    held = [line for line in pnl.positions if line.quantity or line.open_buy_quantity or line.open_sell_quantity]
    return Topic(rows=rendered("position", ((line.position_id, _position(line, market_at)) for line in held)))


def _position(line: PositionView, market_at: datetime) -> dict[str, Any]:
    return {"line": line, "age": max(int((market_at - line.current_price_at).total_seconds()), 0)}


def working_orders(account: Account) -> Topic:
    """Return open orders, newest first. One query."""
    orders = open_orders(account).order_by("-id")[:MOST_OPEN]
    return Topic(rows=rendered("open_order", ((order.pk, {"order": order}) for order in orders)))


def latest_orders(account: Account) -> Topic:
    """Return the newest orders. One query."""
    orders = Order.objects.filter(account=account).select_related("strategy", "instrument").order_by("-id")[:LATEST]
    return Topic(rows=rendered("order", ((order.pk, {"order": order}) for order in orders)))


def latest_fills(account: Account) -> Topic:
    """Return the newest fills. One query."""
    fills = Fill.objects.filter(account=account).select_related("strategy", "instrument").order_by("-id")[:LATEST]
    return Topic(rows=rendered("fill", ((fill.pk, {"fill": fill}) for fill in fills)))


def latest_runs(account: Account) -> Topic:
    """Return the newest runs. One query."""
    runs = trading_selectors.runs(account=account)[:LATEST]
    return Topic(rows=rendered("run", ((run.pk, {"run": run}) for run in runs)))


def strategies(account: Account, pnl: RealtimePnl) -> Topic:
    """Return P&L by strategy: since the start, and today, which is what the closed days do not explain. Two queries."""
    closed = dict(
        StrategyDay.objects.filter(account=account, date__lt=pnl.summary.trading_date)
        .values_list("strategy__name")
        .annotate(total=Sum("pnl"))
    )
    known = {row.name: row for row in Strategy.objects.all()}
    rows = []
    for name, sums in sorted(pnl.by_strategy.items()):
        total = sums["realized_pnl"] + sums["unrealized_pnl"] - sums["fees"]
        today = total - closed.get(name, ZERO)
        context = {"name": name, "strategy": known.get(name), "sums": sums, "total": total, "today": today}
        rows.append((name, context))
    return Topic(rows=rendered("strategy", rows))
