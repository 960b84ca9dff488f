"""From target weights to order intents: pure arithmetic on what a strategy wants and what it holds.

A target is whole lots of shares; what is missing to it becomes one order. An order never carries a position through
zero: it stops at flat, and the next run opens the other side. Brokers refuse such orders for a good reason (half of it
would be a short sale), and one day's delay is cheaper than an order that is two things at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce

ZERO = Decimal(0)


class Outcome(StrEnum):
    """What became of one symbol's target."""

    TRADE = "trade"
    AT_TARGET = "at_target"
    BELOW_MINIMUM = "below_minimum"
    OPEN_ORDER = "open_order"
    NO_SIGNAL = "no_signal"
    NO_PRICE = "no_price"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRules:
    """How weights become shares.

    `capital` and `min_trade_notional` in account currency, `max_position_size` in shares, `cash_buffer` the fraction
    of the capital that stays in cash because the fill price is not the price decided on.
    """

    capital: Decimal
    max_position_size: Decimal
    min_trade_notional: Decimal
    cash_buffer: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a strategy has in one symbol, and what a share costs; quantities in shares, `price` None when unknown.

    `others_long` and `others_short` are the account's other strategies' net shares once all their buys (all their
    sells) have filled: the largest position is the account's, so they use up room.
    """

    price: Decimal | None
    quantity: Decimal = ZERO
    open_buy_quantity: Decimal = ZERO
    open_sell_quantity: Decimal = ZERO
    others_long: Decimal = ZERO
    others_short: Decimal = ZERO
    lot_size: Decimal = Decimal(1)
    shortable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One symbol's target and the order that leads to it; `trade_quantity` is signed, 0 when there is none."""

    symbol: str
    outcome: Outcome
    weight: Decimal | None = None
    price: Decimal | None = None
    quantity: Decimal = ZERO
    held_quantity: Decimal = ZERO
    trade_quantity: Decimal = ZERO

    @property
    def reduces(self) -> bool:
        """Whether the order brings the position nearer to flat."""
        return self.held_quantity * self.trade_quantity < 0


def target_quantity(*, weight: Decimal, holding: Holding, rules: SizingRules) -> Decimal:
    """Return signed shares: capital × weight ÷ price, rounded towards zero to whole lots, within every cap.

    :raises ValueError: the price is missing or not positive
    """
    if holding.price is None or holding.price <= ZERO:
        raise ValueError("a target needs a positive price")
    if weight < ZERO and not holding.shortable:
        return ZERO
    usable = max(rules.capital, ZERO) * (1 - rules.cash_buffer)
    used = holding.others_long if weight >= ZERO else -holding.others_short
    room = min(max(rules.max_position_size - used, ZERO), rules.max_position_size)
    shares = min(usable * abs(weight) / holding.price, room)
    lots = (shares / holding.lot_size).to_integral_value(rounding=ROUND_FLOOR)
    return lots * holding.lot_size * (1 if weight >= ZERO else -1)


def plan_targets(
    *, weights: Mapping[str, Decimal], holdings: Mapping[str, Holding], rules: SizingRules
) -> list[Target]:
    """Return one target per symbol that is wanted or held, by symbol.

    A held symbol without a weight (no signal today) is left as it is: nothing is known, so nothing is done.
    """
    held = {symbol for symbol, holding in holdings.items() if holding.quantity}
    return [
        _plan(symbol, weights.get(symbol), holdings.get(symbol, Holding(price=None)), rules)
        for symbol in sorted(held | set(weights))
    ]


def _plan(symbol: str, weight: Decimal | None, holding: Holding, rules: SizingRules) -> Target:
    def target(outcome: Outcome, quantity: Decimal = holding.quantity, trade: Decimal = ZERO) -> Target:
        return Target(
            symbol=symbol,
            outcome=outcome,
            weight=weight,
            price=holding.price,
            quantity=quantity,
            held_quantity=holding.quantity,
            trade_quantity=trade,
        )

    if weight is None:
        return target(Outcome.NO_SIGNAL)
    if holding.price is None or holding.price <= ZERO:
        return target(Outcome.NO_PRICE)
    wanted = target_quantity(weight=weight, holding=holding, rules=rules)
    missing = wanted - holding.quantity - holding.open_buy_quantity + holding.open_sell_quantity
    opposite = holding.open_sell_quantity if missing > ZERO else holding.open_buy_quantity
    if missing and opposite:
        return target(Outcome.OPEN_ORDER, wanted)
    trade = _stop_at_flat(missing, holding)
    if not trade:
        return target(Outcome.AT_TARGET, wanted)
    if wanted and abs(trade) * holding.price < rules.min_trade_notional:
        return target(Outcome.BELOW_MINIMUM, wanted)
    return target(Outcome.TRADE, wanted, trade)


def _stop_at_flat(missing: Decimal, holding: Holding) -> Decimal:
    """Cut an order that would carry the position through zero."""
    if missing * holding.quantity >= ZERO:
        return missing
    if missing < ZERO:
        return -min(-missing, max(holding.quantity - holding.open_sell_quantity, ZERO))
    return min(missing, max(-holding.quantity - holding.open_buy_quantity, ZERO))


def intents_for(targets: Iterable[Target], *, strategy: str, key: str, source_ref: str) -> list[OrderIntent]:
    """Return the orders of a plan for the opening auction: reductions first, they free buying power.

    `key` is unique to the plan in its account; with it a plan that is submitted again gives the same orders.
    """
    trades = [target for target in targets if target.trade_quantity]
    trades.sort(key=lambda target: (not target.reduces, target.symbol))
    return [
        OrderIntent(
            strategy=strategy,
            symbol=target.symbol,
            side=Side.BUY if target.trade_quantity > ZERO else Side.SELL,
            quantity=abs(target.trade_quantity),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.OPG,
            reduce_only=target.reduces,
            idempotency_key=f"{key}:{target.symbol}",
            origin=Origin.RUN,
            source_ref=source_ref,
        )
        for target in trades
    ]
