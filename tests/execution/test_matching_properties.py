"""Whatever the orders and the market: what the engine must never do."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from execution.matching.commission import FeeSchedule, PerShareCommission
from execution.matching.engine import MatchingRules, Outcome, expire_session, match_event
from execution.matching.events import ClosingAuction, OpeningAuction, PriceEvent, QuoteTick, SessionEnd, SessionHours
from execution.matching.orders import WorkingOrder
from execution.matching.slippage import FixedBpsSlippage, NoSlippage, SquareRootSlippage
from risk.types import OrderType, Side, TimeInForce
from tests.execution.matching_cases import BEFORE_OPEN, CLOSE, DAY, HOURS, OPEN

prices = st.integers(9_500, 10_500).map(lambda cents: Decimal(cents) / 100)
volumes = st.none() | st.integers(0, 3_000).map(Decimal)
rules = st.builds(
    MatchingRules,
    participation=st.sampled_from([Decimal("0.1"), Decimal("0.37"), Decimal(1)]),
    slippage=st.sampled_from(
        [
            NoSlippage(),
            FixedBpsSlippage(Decimal("3.3")),
            SquareRootSlippage(
                coefficient=Decimal(1), volatility_bps=Decimal(200), assumed_participation=Decimal("0.1")
            ),
        ]
    ),
    fees=st.just(FeeSchedule(commission=PerShareCommission(per_share=Decimal("0.0035"), minimum=Decimal("0.35")))),
)


@st.composite
def order_lists(draw: st.DrawFn) -> list[WorkingOrder]:
    orders = []
    for sequence in range(1, draw(st.integers(1, 6)) + 1):
        order_type = draw(st.sampled_from(OrderType))
        stops = order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
        words = [TimeInForce.DAY, TimeInForce.GTC] if stops else list(TimeInForce)
        orders.append(
            WorkingOrder(
                sequence=sequence,
                symbol="A",
                side=draw(st.sampled_from(Side)),
                order_type=order_type,
                time_in_force=draw(st.sampled_from(words)),
                quantity=Decimal(draw(st.integers(1, 500))),
                session_date=DAY,
                active_after=BEFORE_OPEN,
                limit_price=draw(prices) if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
                stop_price=draw(prices) if stops else None,
            )
        )
    return orders


@st.composite
def sessions(draw: st.DrawFn) -> list[PriceEvent]:
    events: list[PriceEvent] = [OpeningAuction("A", draw(prices), draw(volumes), OPEN)]
    for minute in range(1, draw(st.integers(0, 6)) + 1):
        last, spread = draw(prices), Decimal(draw(st.integers(0, 5))) / 100
        at = OPEN + timedelta(minutes=minute)
        events.append(QuoteTick("A", last - spread, last + spread, last, draw(volumes), at))
    return [*events, ClosingAuction("A", draw(prices), draw(volumes), CLOSE)]


def play(
    orders: list[WorkingOrder], events: list[PriceEvent], rules: MatchingRules, hours: SessionHours = HOURS
) -> tuple[list[tuple[PriceEvent | None, Outcome]], dict[int, WorkingOrder]]:
    """Work a whole session; return what happened at which event, and what is left working."""
    working = {order.sequence: order for order in orders}
    told: list[tuple[PriceEvent | None, Outcome]] = []
    for event in [*events, None]:
        if event is None:
            outcomes = expire_session(SessionEnd(DAY, CLOSE), working.values())
        else:
            outcomes = match_event(event, working.values(), hours=hours, rules=rules)
        for outcome in outcomes:
            told.append((event, outcome))
            working[outcome.order.sequence] = outcome.order
            if outcome.is_final:
                del working[outcome.order.sequence]
    return told, working


def fills_of(told: list[tuple[Any, Outcome]]) -> dict[int, list[Outcome]]:
    fills = defaultdict(list)
    for _, outcome in told:
        if outcome.kind == "fill":
            fills[outcome.order.sequence].append(outcome)
    return fills


@given(order_lists(), sessions(), rules)
def test_never_more_than_ordered_and_every_order_ends_once(orders, events, rules):
    told, working = play(orders, events, rules)
    fills = fills_of(told)
    for order in orders:
        filled = sum(fill.quantity for fill in fills[order.sequence])
        finals = [o for _, o in told if o.order.sequence == order.sequence and o.is_final]
        assert 0 <= filled <= order.quantity
        assert len(finals) == (0 if order.sequence in working else 1)
        assert all(fill.quantity > 0 for fill in fills[order.sequence])


@given(order_lists(), sessions(), rules)
def test_a_limit_holds_to_the_digit(orders, events, rules):
    told, _ = play(orders, events, rules)
    for _, outcome in told:
        limit = outcome.order.limit_in_force
        if outcome.kind == "fill" and limit is not None:
            assert outcome.price <= limit if outcome.order.side == Side.BUY else outcome.price >= limit


@given(order_lists(), sessions(), rules)
def test_the_market_is_never_beaten(orders, events, rules):
    told, _ = play(orders, events, rules)
    for event, outcome in told:
        if outcome.kind == "fill":
            reference = event.reference_price(outcome.order.side)
            assert outcome.price >= reference if outcome.order.side == Side.BUY else outcome.price <= reference


@given(order_lists(), sessions(), rules)
def test_sums_of_executions_are_the_orders_sums(orders, events, rules):
    told, _ = play(orders, events, rules)
    for fills in fills_of(told).values():
        last = fills[-1].order
        assert last.filled_quantity == sum(fill.quantity for fill in fills)
        assert last.filled_notional == sum(fill.quantity * fill.price for fill in fills)
        assert last.fees == sum(fill.fee for fill in fills)
        assert last.fees == rules.fees.owed(quantity=last.filled_quantity, notional=last.filled_notional)
        assert [fill.order.execution_count for fill in fills] == list(range(1, len(fills) + 1))


@given(order_lists(), sessions(), rules)
def test_our_share_of_volume_holds_for_each_side(orders, events, rules):
    taken: dict[tuple[PriceEvent, Side], Decimal] = defaultdict(Decimal)
    for event, outcome in play(orders, events, rules)[0]:
        taken[event, outcome.order.side] += outcome.quantity
    for (event, _), quantity in taken.items():
        if event is not None and event.volume is not None:
            assert quantity <= event.volume * rules.participation


@given(order_lists(), sessions(), rules)
def test_same_input_same_output_in_any_order_of_telling(orders, events, rules):
    assert play(orders, events, rules) == play(list(reversed(orders)), events, rules)


@given(order_lists(), sessions(), rules)
def test_only_gtc_survives_the_session(orders, events, rules):
    _, working = play(orders, events, rules)
    assert all(order.time_in_force == TimeInForce.GTC for order in working.values())


@given(order_lists(), sessions(), rules)
def test_fok_is_all_or_nothing_in_one_execution(orders, events, rules):
    fills = fills_of(play(orders, events, rules)[0])
    for order in orders:
        if order.time_in_force == TimeInForce.FOK and fills[order.sequence]:
            assert [fill.quantity for fill in fills[order.sequence]] == [order.quantity]


@given(order_lists(), sessions(), rules)
def test_an_event_without_outcome_has_none_when_told_again_later(orders, events, rules):
    working = {order.sequence: order for order in orders}
    silent: list[PriceEvent] = []
    for event in events:
        outcomes = match_event(event, working.values(), hours=HOURS, rules=rules)
        if not outcomes:
            silent.append(event)
        for outcome in outcomes:
            working[outcome.order.sequence] = outcome.order
            if outcome.is_final:
                del working[outcome.order.sequence]
        for past in silent:
            assert match_event(past, working.values(), hours=HOURS, rules=rules) == []
