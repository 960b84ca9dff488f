"""A group passes the gate whole or not at all, and is known again when it is wished again."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from execution.errors import InvalidGroup, OrderConflict
from execution.models import Order, Position
from execution.services.groups import make_legs, submit_group
from execution.services.orders import submit_order
from risk.models import Decision
from risk.services import kill_switch
from risk.types import OrderType, Side, TimeInForce
from tests.execution.cases import assert_books_balance, desk, filled_order
from tests.execution.group_cases import OCO, group, make_group, send_group, states
from tests.factories import WALL_NOW, allow, allow_bursts, make_account, make_intent

D = Decimal
pytestmark = pytest.mark.django_db


def codes(results: list[Any]) -> list[list[str]]:
    return [[denial.code.value for denial in result.denials] for result in results]


def test_the_entry_waits_to_be_sent_and_its_legs_are_held() -> None:
    account = make_account()
    entry, profit, stop = group(account, client_order_id="mine")
    assert states([entry, profit, stop]) == ["pending", "held", "held"]
    assert [order.client_order_id for order in (entry, profit, stop)] == ["mine", "mine-TP", "mine-SL"]
    assert [order.entry_id for order in (entry, profit, stop)] == [None, entry.pk, entry.pk]
    assert (profit.side, profit.order_type, profit.limit_price, profit.leg_role) == (
        "sell",
        "limit",
        110,
        "take_profit",
    )
    assert (stop.side, stop.order_type, stop.stop_price, stop.leg_role) == ("sell", "stop", 95, "stop_loss")
    stored = Order.objects.get(pk=profit.pk)
    assert (stored.order_class, stored.reduce_only, stored.quantity) == ("bracket", True, 10)


def test_only_the_entry_holds_and_a_group_is_one_order_of_its_minute() -> None:
    account = make_account()
    group(account)
    line = Position.objects.get(account=account)
    assert (line.open_buy_quantity, line.open_sell_quantity, line.open_order_count) == (10, 0, 1)
    account.refresh_from_db()
    assert account.rate_window_count == 1
    assert_books_balance(account)


def test_every_member_has_a_decision() -> None:
    account = make_account()
    group(account)
    assert Decision.objects.filter(account=account.name, outcome="accepted").count() == 3


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"take_profit": "99"}, "INVALID_PRICE", "take_profit limit_price 99 must be above 100"),
        ({"stop_loss": "101"}, "INVALID_PRICE", "stop_loss stop_price 101 must be below 100"),
        ({"stop_loss": "95.001"}, "INVALID_PRICE", "stop_loss: price 95.001 is not a multiple"),
        ({"take_profit": "NaN"}, "INVALID_PRICE", "take_profit: limit_price must be a positive number"),
        ({"stop_loss": "80"}, "PRICE_COLLAR", "stop_loss: price 80"),
        ({"time_in_force": TimeInForce.IOC}, "INVALID_COMBINATION", "a bracket group is day or gtc"),
        ({"time_in_force": TimeInForce.OPG}, "INVALID_COMBINATION", "a bracket group is day or gtc"),
        ({"extended_hours": True}, "INVALID_COMBINATION", "does not trade in extended hours"),
    ],
)
def test_what_denies_a_leg_denies_the_group(fields: dict[str, Any], code: str, word: str) -> None:
    account = make_account()
    results = send_group(account, **fields)
    assert not any(result.accepted for result in results)
    assert any(word in denial.message for denial in results[0].denials), results[0].denials
    assert code in codes(results)[0]
    assert set(Order.objects.filter(account=account).values_list("status", flat=True)) == {"denied"}
    assert Position.objects.filter(account=account, open_buy_quantity__gt=0).count() == 0
    assert Decision.objects.filter(account=account.name, outcome="denied").count() == 3


def test_what_denies_the_entry_denies_its_legs() -> None:
    account = make_account()
    results = send_group(account, quantity=D(100_000))
    assert "FAT_FINGER_QUANTITY" in codes(results)[0]
    assert all("FAT_FINGER_QUANTITY" in each for each in codes(results))


def test_a_kill_switch_is_told_once_for_the_entry() -> None:
    account = make_account()
    kill_switch.engage(scope="global", operator="ann", reason="a test case", source="console", now=WALL_NOW)
    results = send_group(account)
    assert codes(results)[0] == ["KILL_SWITCH"]
    assert states([result.order for result in results if result.order]) == ["denied"] * 3


@pytest.mark.parametrize("quantity", ["NaN", "-1", "0.000000001"])
def test_an_entry_without_a_usable_number_leaves_decisions_and_no_order(quantity: str) -> None:
    account = make_account()
    results = send_group(account, quantity=D(quantity))
    assert [result.order for result in results] == [None, None, None]
    assert "INVALID_QUANTITY" in codes(results)[0]
    assert Decision.objects.filter(account=account.name, outcome="denied").count() == 3


def test_a_take_profit_may_wait_far_away_but_not_on_the_wrong_side() -> None:
    account = make_account()
    assert all(result.accepted for result in send_group(account, take_profit="150"))
    plain = make_intent(order_type=OrderType.LIMIT, limit_price=D(150), side=Side.SELL)
    denied = submit_order(intent=plain, account=make_account(), wall_now=WALL_NOW)
    assert "PRICE_COLLAR" in codes([denied])[0]


def test_legs_reduce_what_the_entry_opens_whatever_the_limits() -> None:
    account = make_account()
    allow(max_position_quantity=10, min_order_interval_seconds=600, max_orders_per_minute=1)
    assert all(result.accepted for result in send_group(account))


def test_a_short_is_closed_by_buys_on_their_sides() -> None:
    account = make_account()
    entry, profit, stop = group(account, "90", "105", side=Side.SELL)
    assert [order.side for order in (entry, profit, stop)] == ["sell", "buy", "buy"]
    assert not send_group(account, "101", "105", side=Side.SELL, client_order_id="a")[0].accepted
    assert not send_group(account, "90", "99", side=Side.SELL, client_order_id="b")[0].accepted


def test_a_bracket_that_only_covers_has_nothing_to_exit_from() -> None:
    account, broker = desk()
    filled_order(account, broker, side=Side.SELL, quantity=D(10))
    allow_bursts()
    assert "REDUCE_ONLY" in codes(send_group(account, quantity=D(10)))[0]


def test_a_market_entry_may_be_gtc_for_the_sake_of_its_legs() -> None:
    account = make_account()
    market = {"order_type": OrderType.MARKET, "limit_price": None, "time_in_force": TimeInForce.GTC}
    entry, _profit, _stop = group(account, **market)
    assert (entry.order_type, entry.time_in_force) == ("market", "gtc")
    plain = make_intent(time_in_force=TimeInForce.GTC)
    assert not submit_order(intent=plain, account=make_account(), wall_now=WALL_NOW).accepted


def test_an_oto_has_one_exit() -> None:
    account = make_account()
    entry, stop = group(account, None, "95", "94.5", order_class="oto")
    assert states([entry, stop]) == ["pending", "held"]
    assert (stop.order_type, stop.stop_price, stop.limit_price) == ("stop_limit", 95, D("94.5"))


def test_an_oco_leaves_what_is_held_and_holds_it_once() -> None:
    account, broker = desk()
    filled_order(account, broker)
    allow_bursts()
    first, stop = group(account, None, "95", **OCO)
    assert (first.side, stop.side) == ("sell", "sell")
    assert states([first, stop]) == ["pending", "held"]
    assert Position.objects.get(account=account).open_sell_quantity == 10
    assert_books_balance(account)


def test_an_oco_needs_a_position() -> None:
    results = send_group(make_account(), None, "95", **OCO)
    assert "REDUCE_ONLY" in codes(results)[0]


def test_an_oco_stops_below_its_limit_and_below_the_market() -> None:
    account, broker = desk()
    filled_order(account, broker)
    allow_bursts()
    results = send_group(account, None, "100.5", **OCO)
    assert "stop_loss stop_price 100.5 must be below 100, the last price" in results[0].denials[0].message


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"stop_loss": None}, "bracket takes stop_loss and take_profit"),
        ({"order_class": "oto"}, "oto takes stop_loss or take_profit"),
        ({"order_class": "oco"}, "oco takes stop_loss"),
        ({"order_class": "trailing"}, "one of bracket, oco, oto"),
        ({"order_class": "oco", "take_profit": None, "order_type": OrderType.MARKET}, "is a limit order"),
    ],
)
def test_what_is_no_group_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidGroup, match=word):
        send_group(make_account(), **fields)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"quantity": D(11)}, "quantity"),
        ({"symbol": "IBM"}, "symbol"),
        ({"strategy": "momentum"}, "strategy"),
        ({"time_in_force": TimeInForce.GTC}, "time_in_force"),
        ({"side": Side.BUY}, "side"),
        ({"order_type": OrderType.MARKET}, "order_type"),
    ],
)
def test_a_leg_that_does_not_belong_to_its_entry_is_refused(change: dict[str, Any], word: str) -> None:
    entry, legs = make_group()
    with pytest.raises(InvalidGroup, match=word):
        submit_group(entry=entry, legs=[replace(legs[0], **change), legs[1]], account=make_account(), wall_now=WALL_NOW)


def test_the_same_group_again_is_the_first_one() -> None:
    account = make_account()
    first, second = send_group(account), send_group(account)
    assert [result.created for result in second] == [False] * 3
    assert [result.order for result in first] == [result.order for result in second]
    assert Order.objects.count() == 3


def test_other_exits_are_another_wish() -> None:
    account = make_account()
    allow_bursts()
    first, second = group(account), group(account, take_profit="111")
    assert {order.client_order_id for order in first}.isdisjoint(order.client_order_id for order in second)
    plain = make_intent(order_type=OrderType.LIMIT, limit_price=D(100))
    assert submit_order(intent=plain, account=account, wall_now=WALL_NOW).created


def test_an_id_stands_for_one_group() -> None:
    account = make_account()
    allow_bursts()
    group(account, client_order_id="mine")
    assert [result.created for result in send_group(account, client_order_id="mine")] == [False] * 3
    for change in ({"take_profit": "111"}, {"limit": "94"}, {"limit_price": D(101)}):
        with pytest.raises(OrderConflict):
            send_group(account, client_order_id="mine", **change)
    plain = make_intent(order_type=OrderType.LIMIT, limit_price=D(100), client_order_id="mine")
    with pytest.raises(OrderConflict, match="order_class"):
        submit_order(intent=plain, account=account, wall_now=WALL_NOW)


def test_a_leg_does_not_take_the_id_of_another_order() -> None:
    account = make_account()
    allow_bursts()
    submit_order(intent=make_intent(client_order_id="mine-SL"), account=account, wall_now=WALL_NOW)
    with pytest.raises(OrderConflict, match="a leg of 'mine'"):
        send_group(account, client_order_id="mine")


def test_an_idempotency_key_stands_for_the_whole_group() -> None:
    account = make_account()
    first = send_group(account, idempotency_key="once")
    again = send_group(account, idempotency_key="once")
    assert [result.order for result in first] == [result.order for result in again]
    assert Order.objects.exclude(idempotency_key="").count() == 1


def test_a_denied_group_may_be_tried_again_under_the_next_attempt() -> None:
    account = make_account()
    allow(max_order_quantity=5)
    denied = send_group(account)
    allow(max_order_quantity=500)
    accepted = send_group(account)
    assert [result.order.attempt for result in accepted if result.order] == [2, 2, 2]
    assert {r.order.client_order_id for r in accepted if r.order}.isdisjoint(
        r.order.client_order_id for r in denied if r.order
    )


def test_the_longest_id_has_legs_with_ids_of_their_own() -> None:
    account = make_account()
    orders = group(account, client_order_id="x" * 128)
    assert len({order.client_order_id for order in orders}) == 3
    assert all(len(order.client_order_id) <= 128 for order in orders)


def test_legs_are_told_by_their_prices() -> None:
    entry = make_intent(order_class="oto", side=Side.SELL)
    assert make_legs(entry) == []
    (leg,) = make_legs(entry, stop_loss=D(105))
    assert (leg.side, leg.order_type, leg.reduce_only) == (Side.BUY, OrderType.STOP, True)
