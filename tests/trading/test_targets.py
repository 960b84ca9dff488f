"""Targets: whole lots, within caps, never through zero, nothing to do when there."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.types import Side, TimeInForce
from trading.targets import (
    Holding,
    Outcome,
    SizingRules,
    Target,
    intents_for,
    plan_targets,
    target_quantity,
)

RULES = SizingRules(
    capital=Decimal(50_000), max_position_size=Decimal(1_000), min_trade_notional=Decimal(500), cash_buffer=Decimal(0)
)


def plan_one(weight: str | None, **holding: Any) -> Target:
    weights = {} if weight is None else {"IBM": Decimal(weight)}
    holdings = {"IBM": Holding(**({"price": Decimal(200)} | holding))}
    (target,) = plan_targets(weights=weights, holdings=holdings, rules=RULES)
    return target


def test_shares_are_capital_times_weight_by_price_rounded_towards_zero() -> None:
    quantity = target_quantity(weight=Decimal("0.333333"), holding=Holding(price=Decimal("199.99")), rules=RULES)
    assert quantity == 83
    assert target_quantity(weight=Decimal("-0.333333"), holding=Holding(price=Decimal("199.99")), rules=RULES) == -83


def test_lots_and_caps_bind() -> None:
    lots = Holding(price=Decimal(10), lot_size=Decimal(100))
    assert target_quantity(weight=Decimal("0.05"), holding=lots, rules=RULES) == 200
    assert target_quantity(weight=Decimal(1), holding=Holding(price=Decimal(1)), rules=RULES) == 1_000


def test_other_strategies_use_up_the_room_of_the_account() -> None:
    crowded = Holding(price=Decimal(10), others_long=Decimal(970), others_short=Decimal(-300))
    assert target_quantity(weight=Decimal(1), holding=crowded, rules=RULES) == 30
    assert target_quantity(weight=Decimal(-1), holding=crowded, rules=RULES) == -700
    full = Holding(price=Decimal(10), others_long=Decimal(1_200))
    assert target_quantity(weight=Decimal(1), holding=full, rules=RULES) == 0


def test_cash_buffer_is_left_out() -> None:
    rules = SizingRules(
        capital=Decimal(50_000),
        max_position_size=Decimal(1_000),
        min_trade_notional=Decimal(0),
        cash_buffer=Decimal("0.02"),
    )
    assert target_quantity(weight=Decimal(1), holding=Holding(price=Decimal(100)), rules=rules) == 490


def test_lost_capital_and_unborrowable_names_mean_flat() -> None:
    broke = SizingRules(
        capital=Decimal(-5),
        max_position_size=Decimal(1_000),
        min_trade_notional=Decimal(0),
        cash_buffer=Decimal(0),
    )
    assert target_quantity(weight=Decimal(1), holding=Holding(price=Decimal(10)), rules=broke) == 0
    hard = Holding(price=Decimal(10), shortable=False)
    assert target_quantity(weight=Decimal(-1), holding=hard, rules=RULES) == 0


@pytest.mark.parametrize("price", [None, Decimal(0), Decimal(-1)])
def test_no_price_means_no_order(price: Decimal | None) -> None:
    assert plan_one("0.5", price=price).outcome == Outcome.NO_PRICE
    with pytest.raises(ValueError, match="positive price"):
        target_quantity(weight=Decimal("0.5"), holding=Holding(price=price), rules=RULES)


@pytest.mark.parametrize(
    ("weight", "holding", "outcome", "trade"),
    [
        ("0.4", {}, Outcome.TRADE, 100),
        ("0.4", {"quantity": Decimal(100)}, Outcome.AT_TARGET, 0),
        ("0.4", {"quantity": Decimal(98)}, Outcome.BELOW_MINIMUM, 0),
        ("0", {"quantity": Decimal(1)}, Outcome.TRADE, -1),
        ("-0.4", {"quantity": Decimal(30)}, Outcome.TRADE, -30),
        ("0.4", {"quantity": Decimal(-30)}, Outcome.TRADE, 30),
        ("0.4", {"open_buy_quantity": Decimal(60)}, Outcome.TRADE, 40),
        ("0.4", {"open_buy_quantity": Decimal(100)}, Outcome.AT_TARGET, 0),
        ("0.4", {"open_sell_quantity": Decimal(5)}, Outcome.OPEN_ORDER, 0),
        ("0", {"quantity": Decimal(50), "open_sell_quantity": Decimal(50)}, Outcome.AT_TARGET, 0),
        ("-0.4", {"quantity": Decimal(50), "open_sell_quantity": Decimal(50)}, Outcome.AT_TARGET, 0),
        (None, {"quantity": Decimal(50)}, Outcome.NO_SIGNAL, 0),
    ],
)
def test_plan(weight: str | None, holding: dict[str, Decimal], outcome: Outcome, trade: int) -> None:
    target = plan_one(weight, **holding)
    assert target.outcome == outcome
    assert target.trade_quantity == trade


def test_reductions_come_first_and_are_marked() -> None:
    holdings = {
        "AAPL": Holding(price=Decimal(100)),
        "IBM": Holding(price=Decimal(200), quantity=Decimal(50)),
        "MSFT": Holding(price=Decimal(30), quantity=Decimal(-400)),
    }
    weights = {"AAPL": Decimal("0.4"), "IBM": Decimal(0), "MSFT": Decimal("0.2")}
    targets = plan_targets(weights=weights, holdings=holdings, rules=RULES)
    intents = intents_for(targets, strategy="momentum", key="momentum:2012-01-03:daily", source_ref="run:1")
    assert [(intent.symbol, intent.side, intent.quantity, intent.reduce_only) for intent in intents] == [
        ("IBM", Side.SELL, Decimal(50), True),
        ("MSFT", Side.BUY, Decimal(400), True),
        ("AAPL", Side.BUY, Decimal(200), False),
    ]
    assert {intent.time_in_force for intent in intents} == {TimeInForce.OPG}
    assert intents[0].idempotency_key == "momentum:2012-01-03:daily:IBM"


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places)


HOLDINGS = st.builds(
    Holding,
    price=st.none() | decimals("0.01", "5000", 2),
    quantity=st.integers(-3_000, 3_000).map(Decimal),
    open_buy_quantity=st.sampled_from([Decimal(0), Decimal(7), Decimal(700)]),
    open_sell_quantity=st.sampled_from([Decimal(0), Decimal(7), Decimal(700)]),
    lot_size=st.sampled_from([Decimal(1), Decimal(10), Decimal(100)]),
    shortable=st.booleans(),
)
SIZINGS = st.builds(
    SizingRules,
    capital=decimals("-1000", "1000000", 2),
    max_position_size=st.integers(0, 2_000).map(Decimal),
    min_trade_notional=decimals("0", "1000", 2),
    cash_buffer=decimals("0", "0.5", 2),
)
SYMBOLS = st.sampled_from(["AAPL", "GOOG", "IBM", "MSFT"])
WEIGHTS = st.dictionaries(SYMBOLS, decimals("-1", "1", 6))


@given(WEIGHTS, st.dictionaries(SYMBOLS, HOLDINGS), SIZINGS)
def test_caps_hold_even_when_every_open_order_fills(
    weights: dict[str, Decimal], holdings: dict[str, Holding], rules: SizingRules
) -> None:
    for target in plan_targets(weights=weights, holdings=holdings, rules=rules):
        holding = holdings.get(target.symbol, Holding(price=None))
        opening = target.trade_quantity and not target.reduces
        if opening:
            open_quantity = holding.open_buy_quantity - holding.open_sell_quantity
            after = abs(holding.quantity + open_quantity + target.trade_quantity)
            assert after <= rules.max_position_size
            assert holding.price is not None
            assert after * holding.price <= max(rules.capital, Decimal(0)) * abs(weights[target.symbol])
        assert target.trade_quantity * target.held_quantity >= 0 or abs(target.trade_quantity) <= abs(
            target.held_quantity
        )
        assert holding.shortable or holding.quantity < 0 or holding.quantity + target.trade_quantity >= 0


@given(WEIGHTS, st.dictionaries(SYMBOLS, HOLDINGS), SIZINGS)
def test_plan_is_settled_after_two_filled_rounds(
    weights: dict[str, Decimal], holdings: dict[str, Holding], rules: SizingRules
) -> None:
    filled = {
        symbol: Holding(
            price=holding.price, quantity=holding.quantity, lot_size=holding.lot_size, shortable=holding.shortable
        )
        for symbol, holding in holdings.items()
    }
    for _ in range(2):
        for target in plan_targets(weights=weights, holdings=filled, rules=rules):
            before = filled.get(target.symbol, Holding(price=None))
            filled[target.symbol] = Holding(
                price=before.price,
                quantity=before.quantity + target.trade_quantity,
                lot_size=before.lot_size,
                shortable=before.shortable,
            )
    assert not [t for t in plan_targets(weights=weights, holdings=filled, rules=rules) if t.trade_quantity]
