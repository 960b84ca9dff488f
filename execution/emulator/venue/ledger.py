"""Cash, holdings and executions of the account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import fill_activity
from execution.alpaca_wire.text import number
from execution.matching.holdings import Holding
from execution.matching.pricing import traded_value

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill; cumulative and leaves quantity are the order's after it (shares)."""

    execution_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    cumulative_quantity: Decimal
    leaves_quantity: Decimal

    @property
    def signed_quantity(self) -> Decimal:
        """Return the shares, negative for a sale."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def cash(self) -> Decimal:
        """Return the cash that came in (negative: went out), without fees."""
        return -traded_value(self.signed_quantity, self.price)

    def activity(self) -> dict[str, Any]:
        """Return its line of the account's activities."""
        return fill_activity(
            execution_id=self.execution_id,
            at=self.at,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            price=self.price,
            cumulative_quantity=self.cumulative_quantity,
            leaves_quantity=self.leaves_quantity,
            order_id=self.order_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One line of the activities: FILL, FEE or DIV; `place` is its true place in time."""

    place: int
    at: datetime
    kind: str
    line: dict[str, Any]

    @property
    def id(self) -> str:
        """Return its id."""
        return str(self.line["id"])


class Ledger:
    """What the account owns; amounts are account currency."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.accrued_fees = ZERO
        self.holdings: dict[str, Holding] = {}
        self.executions: dict[str, Execution] = {}
        self.activities: list[Activity] = []
        self.last_equity = cash
        self.closes: list[tuple[date, Decimal]] = []
        self._places = 0

    def held(self, symbol: str) -> Holding:
        """Return what is held of a symbol; flat when nothing is."""
        return self.holdings.get(symbol, Holding())

    def hold(self, symbol: str, holding: Holding) -> None:
        """Set what is held of a symbol."""
        if holding.quantity:
            self.holdings[symbol] = holding
        else:
            self.holdings.pop(symbol, None)

    def trade(self, execution: Execution) -> None:
        """Book an execution; its fee is charged at the end of the day."""
        self._move(execution.symbol, execution.signed_quantity, execution.price, execution.cash)
        self.accrued_fees += execution.fee
        self.executions[execution.execution_id] = execution
        self.note("FILL", execution.at, execution.activity())

    def bust(self, execution: Execution) -> None:
        """Take an execution back: shares, cash and its line in the activities."""
        self._move(execution.symbol, -execution.signed_quantity, execution.price, -execution.cash)
        del self.executions[execution.execution_id]
        line = execution.activity()["id"]
        self.activities = [activity for activity in self.activities if activity.id != line]

    def pay(self, kind: str, *, id: str, at: datetime, day: date, amount: Decimal, **more: Any) -> None:
        """Book cash that no trade moved (FEE, DIV); a negative amount goes out."""
        self.cash += amount
        line = {
            "id": f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{id}",
            "activity_type": kind,
            "date": day.isoformat(),
            "net_amount": number(amount),
            "status": "executed",
            **more,
        }
        self.note(kind, at, line)

    def note(self, kind: str, at: datetime, line: dict[str, Any]) -> None:
        """Append a line to the activities."""
        self._places += 1
        self.activities.append(Activity(place=self._places, at=at, kind=kind, line=line))

    def _move(self, symbol: str, signed_quantity: Decimal, price: Decimal, cash: Decimal) -> None:
        self.hold(symbol, self.held(symbol).after_trade(signed_quantity, price))
        self.cash += cash
