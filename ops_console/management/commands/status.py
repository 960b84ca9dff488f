"""Tell in one page how the desk stands; the exit code tells it to scripts."""

from argparse import ArgumentParser
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rich.table import Table

from execution.models import Order
from execution.selectors import AccountSummary, PositionView
from marketdata.clock import wall_now
from ops_console.management.operator_command import DONE, HALTED, UNKNOWN, OperatorCommand
from ops_console.selectors import DeskStatus, Verdict, desk_status
from trading.models import Run

EXIT_CODES = {Verdict.HEALTHY: DONE, Verdict.HALTED: HALTED, Verdict.DEGRADED: UNKNOWN}
STYLES = {Verdict.HEALTHY: "green", Verdict.HALTED: "bold red", Verdict.DEGRADED: "bold yellow"}
CENT = Decimal("0.01")


class Command(OperatorCommand):
    """Show the desk."""

    help = (
        "Services, mode, feed and clock, kill switch, breaker, reconciliation, positions, P&L, open orders, runs.\n"
        "Works with Redis or the database away and says so; what is not known is never healthy."
    )
    examples = (("", "the page"), ("--json", "the same for scripts"))
    exit_codes = {
        DONE: "healthy",
        HALTED: "halted: a kill switch is engaged or the breaker is not open",
        UNKNOWN: "degraded: something is down, stale, failed or unknown",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read once and show."""
        status = desk_status(wall_now())
        if options["json"]:
            self.say_json(as_document(status))
        else:
            console = self.console()
            for part in pages(status):
                console.print(part)
        self.leave(EXIT_CODES[status.verdict])


def pages(status: DeskStatus) -> Iterable[Any]:
    """Yield what is printed, top to bottom."""
    desk, style = status.desk, STYLES[status.verdict]
    yield f"[{style}]{status.verdict.value.upper()}[/]  mode {desk.mode}  {desk.wall_now:%Y-%m-%d %H:%M:%S} UTC"
    table = Table("", "state", "", box=None, pad_edge=False)
    for finding in status.findings:
        table.add_row(finding.name, f"[{STYLES[finding.verdict]}]{finding.verdict}[/]", finding.text)
    yield table
    if desk.pnl is not None:
        yield _money(desk.pnl.summary)
        yield from _positions([line for line in desk.pnl.positions if line.quantity or _reserved(line)])
    yield from _orders(status.open_orders)
    yield from _runs(status.runs)


def _money(summary: AccountSummary) -> Table:
    table = Table("equity", "cash", "today", "realised", "unrealised", "fees", "gross", "net", title="account")
    values = (
        summary.equity, summary.cash, summary.day_pnl, summary.realized_pnl, summary.unrealized_pnl, summary.fees,
        summary.gross_exposure, summary.net_exposure,
    )  # fmt: skip
    table.add_row(*(_amount(value) for value in values))
    return table


def _positions(lines: list[PositionView]) -> Iterable[Table]:
    if not lines:
        return
    table = Table("strategy", "symbol", "quantity", "price", "value", "unrealised", "open buys", "open sells")
    table.title = "positions"
    for line in lines:
        table.add_row(
            line.strategy,
            line.symbol,
            _shares(line.quantity),
            f"{_amount(line.current_price)}{' (old)' if line.is_stale else ''}",
            _amount(line.market_value),
            _amount(line.unrealized_pnl),
            _shares(line.open_buy_quantity),
            _shares(line.open_sell_quantity),
        )
    yield table


def _orders(orders: list[Order]) -> Iterable[Table]:
    if not orders:
        return
    table = Table("order", "strategy", "symbol", "side", "quantity", "filled", "type", "status", title="open orders")
    for order in orders:
        table.add_row(
            order.client_order_id[:24],
            order.strategy.name,
            order.instrument.symbol,
            order.side,
            _shares(order.quantity),
            _shares(order.filled_quantity),
            f"{order.order_type} {order.time_in_force}",
            order.status,
        )
    yield table


def _runs(runs: list[Run]) -> Iterable[Table]:
    if not runs:
        return
    table = Table("session", "strategy", "kind", "state", "orders", "denied", "", title="last runs")
    for run in runs:
        table.add_row(
            f"{run.trading_date}",
            run.strategy.name,
            run.kind,
            run.state,
            f"{run.order_count}",
            f"{run.denied_count}",
            run.reason,
        )
    yield table


def as_document(status: DeskStatus) -> dict[str, Any]:
    """Return the status for scripts; money and quantities are strings, what is not known is null."""
    desk = status.desk
    return {
        "verdict": status.verdict,
        "at": desk.wall_now,
        "mode": desk.mode,
        "trading_state": desk.trading_state,
        "market_at": desk.market_at,
        "findings": [
            {"name": finding.name, "verdict": finding.verdict, "text": finding.text} for finding in status.findings
        ],
        "kill_switch": None if desk.kill is None else [_fields(row) for row in desk.kill],
        "breaker": None if desk.breaker is None else _fields(desk.breaker),
        "account": None if desk.pnl is None else _fields(desk.pnl.summary),
        "positions": None if desk.pnl is None else [_fields(line) for line in desk.pnl.positions],
        "open_orders": [
            {
                "client_order_id": order.client_order_id,
                "strategy": order.strategy.name,
                "symbol": order.instrument.symbol,
                "side": order.side,
                "quantity": order.quantity,
                "filled_quantity": order.filled_quantity,
                "status": order.status,
            }
            for order in status.open_orders
        ],
        "runs": [
            {
                "trading_date": run.trading_date,
                "strategy": run.strategy.name,
                "kind": run.kind,
                "state": run.state,
                "orders": run.order_count,
                "denied": run.denied_count,
                "reason": run.reason,
            }
            for run in status.runs
        ],
    }


def _fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _reserved(line: PositionView) -> bool:
    return bool(line.open_buy_quantity or line.open_sell_quantity)


def _amount(value: Decimal) -> str:
    return f"{value.quantize(CENT):,f}"


def _shares(value: Decimal) -> str:
    return f"{value.normalize():f}"
