"""What a replay did, read back from the books: days, orders, strategies, and the proof that the books balance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from django.db.models import Count, F, Q, Sum

from execution.models import Account, AccountDay, Order, StrategyDay
from execution.states import OrderStatus
from marketdata import selectors as market
from signals.models import ModelVersion
from signals.services.skill import NO_SKILL, Skill, skill_of
from trading.models import ReplayRun, Run
from trading.performance import Performance, cumulative, performance
from trading.types import ReplayParameters

ZERO = Decimal(0)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the result table; money in account currency, `realized` contains `dividends`.

    `turnover` is what was bought and sold a session, as a fraction of the line's average equity; `skill` says how well
    the strategy's scores went together with the returns that followed.
    """

    name: str
    performance: Performance
    orders: int | None = None
    fills: int | None = None
    denied: int | None = None
    realized: Decimal | None = None
    unrealized: Decimal | None = None
    fees: Decimal | None = None
    dividends: Decimal | None = None
    turnover: Decimal | None = None
    skill: Skill = NO_SKILL


@dataclass(frozen=True, slots=True)
class Identity:
    """On how many days equity = starting cash + Σ realised + unrealised − Σ fees, to the cent, and the worst miss."""

    days: int
    holding: int
    worst: Decimal

    @property
    def holds(self) -> bool:
        """Whether it holds on every day."""
        return self.holding == self.days

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        return f"equity identity holds on {self.holding} of {self.days} days (worst difference {self.worst:.2f})"


def check_identity(account: Account, days: Sequence[AccountDay]) -> Identity:
    """Compare cash plus value with what the profits add up to, day by day."""
    earned, worst, holding = account.starting_cash, ZERO, 0
    for day in days:
        earned += day.realized_pnl - day.fees
        miss = abs(day.equity - earned - day.unrealized_pnl)
        worst = max(worst, miss)
        holding += miss < CENT
    return Identity(len(days), holding, worst)


def account_days(row: ReplayRun) -> list[AccountDay]:
    """Return the closed days of a replay, oldest first."""
    return list(AccountDay.objects.filter(account=row.account).order_by("date"))


def result_lines(row: ReplayRun, parameters: ReplayParameters, days: Sequence[AccountDay]) -> list[Line]:
    """Return a line per strategy, the account, and buy-and-hold of the same symbols."""
    dates = [day.date for day in days]
    share = parameters.capital / len(parameters.strategies)
    lines = [_strategy_line(row, name, share, dates) for name in parameters.strategies]
    lines.append(_account_line(row, parameters, days))
    held = buy_and_hold(parameters, dates)
    if held:
        lines.append(Line(name="buy and hold", performance=performance(start=parameters.capital, equity=held)))
    return lines


def _counts(row: ReplayRun, **strategy: str) -> dict[str, Any]:
    orders = Order.objects.filter(account=row.account, **strategy)
    denied = Count("id", filter=Q(status=OrderStatus.DENIED))
    counted: dict[str, Any] = orders.aggregate(orders=Count("id") - denied, denied=denied)
    return counted


def _strategy_line(row: ReplayRun, name: str, capital: Decimal, dates: Sequence[date]) -> Line:
    days = {day.date: day for day in StrategyDay.objects.filter(account=row.account, strategy__name=name)}
    path = cumulative(capital, [days[day].pnl if day in days else ZERO for day in dates])
    last = days.get(dates[-1]) if dates else None
    return Line(
        name=name,
        performance=performance(start=capital, equity=path),
        fills=sum(day.fill_count for day in days.values()),
        realized=sum((day.realized_pnl for day in days.values()), ZERO),
        unrealized=ZERO if last is None else last.unrealized_pnl,
        fees=sum((day.fees for day in days.values()), ZERO),
        dividends=sum((day.dividends for day in days.values()), ZERO),
        turnover=_turnover(row, path, strategy__name=name),
        skill=skill_of(_signal_sets(row, name)),
        **_counts(row, strategy__name=name),
    )


def _signal_sets(row: ReplayRun, strategy: str) -> list[int]:
    runs = Run.objects.filter(account=row.account, strategy__name=strategy, signal_set__isnull=False)
    return list(runs.order_by("pk").values_list("signal_set", flat=True))


def _turnover(row: ReplayRun, equity: Sequence[Decimal], **strategy: str) -> Decimal | None:
    """Return the notional traded a session ÷ average equity; None without a session or equity."""
    average = sum(equity, ZERO) / len(equity) if equity else ZERO
    if average <= ZERO:
        return None
    filled = Order.objects.filter(account=row.account, average_fill_price__isnull=False, **strategy)
    traded = filled.aggregate(notional=Sum(F("filled_quantity") * F("average_fill_price")))["notional"] or ZERO
    turnover: Decimal = traded / average / len(equity)
    return turnover


def _account_line(row: ReplayRun, parameters: ReplayParameters, days: Sequence[AccountDay]) -> Line:
    return Line(
        name="account",
        performance=performance(start=parameters.capital, equity=[day.equity for day in days]),
        fills=sum(day.fill_count for day in days),
        realized=sum((day.realized_pnl for day in days), ZERO),
        unrealized=days[-1].unrealized_pnl if days else ZERO,
        fees=sum((day.fees for day in days), ZERO),
        dividends=sum((day.dividends for day in days), ZERO),
        turnover=_turnover(row, [day.equity for day in days]),
        **_counts(row),
    )


def buy_and_hold(parameters: ReplayParameters, dates: Sequence[date]) -> list[Decimal]:
    """Return closing equity of equal parts in each symbol that trades at the first open, dividends reinvested."""
    if not dates:
        return []
    bars = market.bars(
        parameters.symbols, start=dates[0], end=dates[-1], adjustment="total_return", as_of=dates[-1]
    ).select("symbol", "date", "open", "close")
    entries = {symbol: Decimal(repr(price)) for symbol, price in _first_opens(bars, dates[0])}
    if not entries:
        return []
    shares = {symbol: parameters.capital / len(entries) / price for symbol, price in entries.items()}
    closes = {(symbol, day): Decimal(repr(close)) for symbol, day, _, close in bars.rows() if symbol in shares}
    latest, path = dict(entries), []
    for day in dates:
        latest = {symbol: closes.get((symbol, day), price) for symbol, price in latest.items()}
        path.append(sum((shares[symbol] * price for symbol, price in latest.items()), ZERO))
    return path


def _first_opens(bars: pl.DataFrame, first: date) -> list[tuple[Any, ...]]:
    return bars.filter(pl.col("date") == first).select("symbol", "open").rows()


def as_document(
    row: ReplayRun, lines: Sequence[Line], days: Sequence[AccountDay], identity: Identity
) -> dict[str, Any]:
    """Return everything as one JSON document; money, prices and quantities as text."""
    return {
        "account": row.account.name,
        "parameters": row.parameters,
        "state": row.state,
        "identity": {"days": identity.days, "holding": identity.holding, "worst": f"{identity.worst:.8f}"},
        "models": _model_documents(row),
        "results": [_line_document(line) for line in lines],
        "days": [_day_document(day) for day in days],
        "orders": _order_documents(row),
    }


def _model_documents(row: ReplayRun) -> dict[str, Any]:
    """Return what the replay's models were made from and how well they did on data they had not seen."""
    documents = {}
    for strategy, digest in row.parameters.get("models", {}).items():
        version = ModelVersion.objects.filter(strategy=strategy, sha256=digest).order_by("pk").first()
        if version is not None:
            documents[strategy] = {
                "sha256": digest,
                "seed": version.seed,
                "trees": version.rounds,
                "feature_version": version.feature_version,
                "data_hash": version.data_hash,
                "splits": version.splits,
                "rank_ic": {split: version.metrics[split]["rank_ic"]["mean"] for split in ("valid", "test")},
            }
    return documents


def _line_document(line: Line) -> dict[str, Any]:
    numbers = line.performance
    return {
        "name": line.name,
        "orders": line.orders,
        "fills": line.fills,
        "denied": line.denied,
        "realized": _money(line.realized),
        "unrealized": _money(line.unrealized),
        "fees": _money(line.fees),
        "dividends": _money(line.dividends),
        "return": f"{numbers.total_return:.8f}",
        "max_drawdown": f"{numbers.max_drawdown:.8f}",
        "sharpe": None if numbers.sharpe is None else f"{numbers.sharpe:.6f}",
        "turnover": None if line.turnover is None else f"{line.turnover:.6f}",
        "ic": _text(line.skill.ic),
        "rank_ic": _text(line.skill.rank_ic),
        "ic_days": line.skill.days,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"


def _day_document(day: AccountDay) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "cash": _money(day.cash),
        "equity": _money(day.equity),
        "realized": _money(day.realized_pnl),
        "unrealized": _money(day.unrealized_pnl),
        "fees": _money(day.fees),
        "dividends": _money(day.dividends),
        "orders": day.order_count,
        "fills": day.fill_count,
    }


def _order_documents(row: ReplayRun) -> list[dict[str, Any]]:
    orders = Order.objects.filter(account=row.account).select_related("strategy", "instrument", "decision")
    return [
        {
            "client_order_id": order.client_order_id,
            "date": order.trading_date.isoformat(),
            "strategy": order.strategy.name,
            "symbol": order.instrument.symbol,
            "side": order.side,
            "quantity": f"{order.quantity.normalize():f}",
            "order_type": order.order_type,
            "time_in_force": order.time_in_force,
            "status": order.status,
            "filled_quantity": f"{order.filled_quantity.normalize():f}",
            "average_fill_price": _money(order.average_fill_price),
            "denials": [denial["code"] for denial in order.decision.denials],
        }
        for order in orders.order_by("id")
    ]


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.8f}"
