"""Bring working orders and a market event together.

Rules, beside those of the order types:

* An order meets an event only when the event is later than the order's entry and its last change: the next tick at
  the earliest, never the quote that it was decided on.
* Outside the session's hours only extended-hours orders meet ticks. What was entered while closed waits and takes
  part in the opening auction. `cls` skips that auction, `opg` every event but that one; any other order takes part
  in the closing auction as well.
* A stop is triggered by the last trade and is a market (or limit) order from then on, in the same event. Through a
  gap it gets the market's price, which is worse than the stop.
* At most `participation` of an event's volume is ours, for the buyers and for the sellers each (a traded share has
  one of both), in whole shares unless the rest of an order fits. Price first, market orders before all, then time.
* Slippage applies in auctions too: it stands for our own weight in the print.
* `ioc` and `fok` end at the first event they take part in, an auction order at its auction, everything else but
  `gtc` at the end of its session, or at the first event of a later session when that end was never told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from execution.matching.commission import FeeSchedule
from execution.matching.events import (
    ClosingAuction,
    OpeningAuction,
    PriceEvent,
    QuoteTick,
    SessionEnd,
    SessionHours,
)
from execution.matching.orders import AT_ONCE, AUCTION_ONLY, ZERO, WorkingOrder
from execution.matching.pricing import execution_price
from execution.matching.slippage import NoSlippage, SlippageModel
from risk.types import Side, TimeInForce

OutcomeKind = Literal["activated", "triggered", "fill", "canceled", "expired", "replaced"]
WHOLE_SHARE = Decimal(1)
DEFAULT_PARTICIPATION = Decimal("0.10")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingRules:
    """How this exchange executes; `participation` is our largest share of an event's volume, above 0 and up to 1."""

    participation: Decimal = DEFAULT_PARTICIPATION
    slippage: SlippageModel = field(default_factory=NoSlippage)
    fees: FeeSchedule = field(default_factory=FeeSchedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One thing that happened to one order; `order` is its state afterwards.

    A fill carries quantity (shares), price and fee (account currency) of this execution alone.
    """

    kind: OutcomeKind
    order: WorkingOrder
    at: datetime
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fee: Decimal = ZERO
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the order works no longer."""
        return self.kind in ("canceled", "expired", "replaced") or (
            self.kind == "fill" and not self.order.leaves_quantity
        )


@dataclass(slots=True)
class VolumeBudget:
    """Shares of one event that one side may still take; None takes any number."""

    left: Decimal | None

    @classmethod
    def of(cls, volume: Decimal | None, participation: Decimal) -> VolumeBudget:
        """Return our share of the volume."""
        return cls(None if volume is None else volume * participation)

    def offer(self, wanted: Decimal) -> Decimal:
        """Return what of the wanted shares can be had: all of it, or the whole shares that are left."""
        if self.left is None or wanted <= self.left:
            return wanted
        return self.left.quantize(WHOLE_SHARE, rounding=ROUND_FLOOR)

    def take(self, quantity: Decimal) -> None:
        """Use up so many shares."""
        if self.left is not None:
            self.left -= quantity


def match_event(
    event: PriceEvent, orders: Iterable[WorkingOrder], *, hours: SessionHours, rules: MatchingRules
) -> list[Outcome]:
    """Return what the event does to the working orders of its symbol, in the order in which it happens.

    `hours` are those of the session of the event's New York day. Nothing in, nothing out: an event without outcomes
    may be told again at any time and will have none again.
    """
    outcomes: list[Outcome] = []
    takers: list[WorkingOrder] = []
    for order in sorted(orders, key=lambda order: order.sequence):
        if is_overdue(order, hours):
            outcomes.append(Outcome(kind="expired", order=order, at=event.at, reason="its session is over"))
        elif takes_part(order, event, hours):
            taker = order
            if order.awaits_trigger:
                if not order.is_triggered_by(event.last_price):
                    continue
                taker = order.after_trigger(event.at)
                outcomes.append(Outcome(kind="triggered", order=taker, at=event.at))
            takers.append(taker)
    for side in (Side.BUY, Side.SELL):
        budget = VolumeBudget.of(event.volume, rules.participation)
        for taker in in_priority([order for order in takers if order.side == side]):
            outcomes.extend(execute(taker, event, budget, rules))
    return outcomes


def expire_session(event: SessionEnd, orders: Iterable[WorkingOrder]) -> list[Outcome]:
    """Return the end of every order that was good for the session (or for one before) only."""
    return [
        Outcome(kind="expired", order=order, at=event.at, reason=f"unfilled at the end of {order.session_date}")
        for order in sorted(orders, key=lambda order: order.sequence)
        if order.time_in_force != TimeInForce.GTC and order.session_date <= event.date
    ]


def is_overdue(order: WorkingOrder, hours: SessionHours) -> bool:
    """Tell whether the order's session has gone by without its end being told."""
    return order.time_in_force != TimeInForce.GTC and order.session_date < hours.date


def takes_part(order: WorkingOrder, event: PriceEvent, hours: SessionHours) -> bool:
    """Tell whether the order meets this event at all."""
    if event.at <= order.active_after:
        return False
    if order.session_date > hours.date and not order.extended_hours:
        return False
    if isinstance(event, OpeningAuction):
        return order.time_in_force != TimeInForce.CLS
    if isinstance(event, ClosingAuction):
        return order.time_in_force != TimeInForce.OPG
    return order.time_in_force not in AUCTION_ONLY and (order.extended_hours or hours.is_open(event.at))


def in_priority(orders: Sequence[WorkingOrder]) -> list[WorkingOrder]:
    """Sort one side's orders: market orders, then the better limit, then the earlier entry."""

    def rank(order: WorkingOrder) -> tuple[int, Decimal, int]:
        limit = order.limit_in_force
        if limit is None:
            return 0, ZERO, order.sequence
        return 1, -limit if order.side == Side.BUY else limit, order.sequence

    return sorted(orders, key=rank)


def execute(order: WorkingOrder, event: PriceEvent, budget: VolumeBudget, rules: MatchingRules) -> list[Outcome]:
    """Fill what can be filled of one order and end it where its time in force says so."""
    outcomes: list[Outcome] = []
    quantity = executable_quantity(order, event, budget)
    if quantity:
        budget.take(quantity)
        outcomes.append(fill(order, event, quantity, rules))
        order = outcomes[-1].order
    if order.leaves_quantity:
        outcomes.extend(leave(order, event))
    return outcomes


def executable_quantity(order: WorkingOrder, event: PriceEvent, budget: VolumeBudget) -> Decimal:
    """Return the shares that trade now: none beyond the limit, and all or none of a fill-or-kill."""
    if not order.accepts(event.reference_price(order.side)):
        return ZERO
    offered = budget.offer(order.leaves_quantity)
    if order.time_in_force == TimeInForce.FOK and offered < order.leaves_quantity:
        return ZERO
    return offered


def fill(order: WorkingOrder, event: PriceEvent, quantity: Decimal, rules: MatchingRules) -> Outcome:
    """Execute `quantity` shares of the order at the event's price."""
    price = execution_price(
        reference=event.reference_price(order.side),
        slippage=rules.slippage.fraction(quantity=quantity, volume=event.volume),
        side=order.side,
        limit=order.limit_in_force,
    )
    fee = rules.fees.of_execution(
        side=order.side,
        before_quantity=order.filled_quantity,
        before_notional=order.filled_notional,
        quantity=quantity,
        price=price,
    )
    after = order.after_fill(quantity=quantity, price=price, fee=fee, at=event.at)
    return Outcome(kind="fill", order=after, at=event.at, quantity=quantity, price=price, fee=fee)


def leave(order: WorkingOrder, event: PriceEvent) -> list[Outcome]:
    """End what may not wait for another event."""
    if order.time_in_force in AT_ONCE:
        reason = f"{order.time_in_force.value}: not filled at once"
        return [Outcome(kind="canceled", order=order, at=event.at, reason=reason)]
    if order.time_in_force in AUCTION_ONLY and not isinstance(event, QuoteTick):
        return [Outcome(kind="expired", order=order, at=event.at, reason="not filled in its auction")]
    return []
