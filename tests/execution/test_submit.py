"""Through the gate: all or nothing is stored, the same wish once, and every refusal with its reasons."""

from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from execution.errors import OrderConflict
from execution.gateway import statements
from execution.gateway.store import AccountMissing
from execution.models import Account, AccountDay, Order, OrderEvent, Position
from execution.services.cancels import request_cancel
from execution.services.orders import submit_orders
from execution.signals import orders_changed
from execution.states import OrderStatus
from execution.types import SubmitResult
from marketdata.models import Quote
from risk.models import Decision
from risk.services import breaker, kill_switch
from risk.types import DenialCode, OrderType, Origin, Side, TimeInForce
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    dispatch,
    filled_order,
    make_intent,
    make_order,
    position_of,
    recorded,
    wait_until_somebody_waits,
)
from tests.factories import allow, allow_bursts, make_account, make_instrument, make_quote, make_strategy, submit
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def codes(result: SubmitResult) -> list[str]:
    return [denial.code.value for denial in result.denials]


def counts() -> list[int]:
    return [model.objects.count() for model in (Order, OrderEvent, Decision, Position)]


def batch(account: Account, *wishes: dict[str, Any]) -> list[SubmitResult]:
    return submit_orders(intents=[make_intent(**wish) for wish in wishes], account=account, wall_now=WALL_NOW)


def test_an_accepted_order_is_stored_with_its_event_its_decision_and_its_reservation() -> None:
    account = make_account()
    result = submit(account, source_ref="run:7", origin=Origin.RUN)
    order = Order.objects.get()
    assert (result.accepted, result.created, result.decision_id) == (True, True, order.decision_id)
    assert (order.status, order.reserve_price, order.loss_per_share) == ("pending", D(100), D("0.1"))
    event = order.events.get()
    assert (event.sequence, event.from_status, event.to_status, event.source) == (1, "", "pending", "gate")
    assert (order.decision.outcome, order.decision.denials) == ("accepted", [])
    line = position_of(account)
    assert (line.open_buy_quantity, line.open_buy_notional, line.reserved_loss) == (10, 1000, 1)
    assert (line.long_cap, line.last_order_at, line.current_price) == (1000, MARKET_AT, 100)
    assert_books_balance(account)


def test_the_order_that_is_given_back_is_the_one_that_is_stored() -> None:
    account = make_account()
    given = submit(account, order_type=OrderType.STOP_LIMIT, limit_price=D(101), stop_price=D("100.5")).order
    assert given is not None
    stored = Order.objects.get(pk=given.pk)
    for field in Order._meta.concrete_fields:
        assert getattr(given, field.attname) == getattr(stored, field.attname), field.name
    assert (given.instrument.symbol, given.strategy.name) == ("AAPL", "manual")


def test_the_denied_order_that_is_given_back_is_the_one_that_is_stored() -> None:
    account = make_account()
    given = submit(account, quantity=D(1001)).order
    assert given is not None
    stored = Order.objects.get(pk=given.pk)
    for name in ("status", "error_code", "error_message", "decision_id", "quantity", "client_order_id"):
        assert getattr(given, name) == getattr(stored, name)
    assert (given.closed_at is not None, stored.closed_at is not None) == (True, True)


def test_a_denied_order_is_stored_with_all_reasons_and_reserves_nothing() -> None:
    account = make_account()
    result = submit(account, quantity=D(20_000))
    order = Order.objects.get()
    assert codes(result)[:2] == ["FAT_FINGER_QUANTITY", "FAT_FINGER_NOTIONAL"]
    assert {"POSITION_LIMIT", "BUYING_POWER"} <= set(codes(result))
    assert (order.status, order.error_code) == ("denied", "FAT_FINGER_QUANTITY")
    assert order.closed_at is not None
    assert [denial["code"] for denial in order.decision.denials] == codes(result)
    assert order.decision.codes == ",".join(codes(result))
    assert not Position.objects.filter(account=account).exists()
    assert_books_balance(account)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"symbol": "NONE"}, DenialCode.UNKNOWN_INSTRUMENT),
        ({"quantity": D("NaN")}, DenialCode.INVALID_QUANTITY),
        ({"quantity": D("-1")}, DenialCode.INVALID_QUANTITY),
        ({"quantity": D("1E-9")}, DenialCode.INVALID_QUANTITY),
        ({"quantity": D("1E+30")}, DenialCode.INVALID_QUANTITY),
        ({"quantity": D("Infinity")}, DenialCode.INVALID_QUANTITY),
        ({"order_type": OrderType.LIMIT, "limit_price": D("NaN")}, DenialCode.INVALID_PRICE),
        ({"order_type": OrderType.LIMIT, "limit_price": D(-5)}, DenialCode.INVALID_PRICE),
        ({"side": "steal"}, DenialCode.INVALID_COMBINATION),
        ({"symbol": "X" * 500}, DenialCode.UNKNOWN_INSTRUMENT),
    ],
    ids=str,
)
def test_what_is_no_order_leaves_a_decision_that_names_the_rule(wish: dict[str, Any], code: DenialCode) -> None:
    account = make_account()
    result = submit(account, **wish)
    assert code.value in codes(result)
    assert (result.order, result.created) == (None, True)
    decision = Decision.objects.get(pk=result.decision_id)
    assert decision.outcome == "denied"
    assert code.value in decision.codes
    assert not Order.objects.exists()
    assert not Position.objects.exists()


def test_a_strategy_nobody_knows_leaves_a_decision() -> None:
    account = make_account()
    result = submit(account, strategy="x" * 200)
    assert "STRATEGY_DISABLED" in codes(result)
    assert result.order is None
    assert Decision.objects.get(pk=result.decision_id).strategy == "x" * 40


def test_without_a_price_nothing_is_stored_but_the_decision() -> None:
    account = make_account()
    Quote.objects.all().delete()
    result = submit(account)
    assert codes(result) == ["PRICE_UNAVAILABLE"]
    assert result.order is None
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(("age", "accepted"), [(1800, True), (1801, False), (-1, False)])
def test_a_price_must_be_of_now(age: int, accepted: bool) -> None:
    account = make_account()
    Quote.objects.update(at=MARKET_AT - timedelta(seconds=age))
    result = submit(account)
    assert result.accepted == accepted
    assert codes(result) == ([] if accepted else ["PRICE_STALE"])


def test_nobody_trades_for_an_account_that_does_not_exist() -> None:
    account = make_account()
    account.pk += 1_000_000
    with pytest.raises(AccountMissing):
        submit(account)


def test_an_empty_batch_is_answered_with_nothing() -> None:
    assert submit_orders(intents=[], account=make_account(), wall_now=WALL_NOW) == []


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("halted", "KILL_SWITCH"),
        ("halted account", "KILL_SWITCH"),
        ("halted strategy", "KILL_SWITCH"),
        ("tripped", "CIRCUIT_BREAKER"),
        ("not reconciled", "RECONCILIATION_PENDING"),
        ("disabled", "STRATEGY_DISABLED"),
    ],
)
def test_the_state_of_trading_is_read_with_every_order(state: str, code: str) -> None:
    account = make_account()
    scopes = {"halted": "global", "halted account": account.scope, "halted strategy": "strategy:manual"}
    if state in scopes:
        kill_switch.engage(
            scope=scopes[state], operator="ann", reason="a test of the gate", source="console", now=WALL_NOW
        )
    elif state == "tripped":
        breaker.trip(scope=account.scope, reason="a test of the gate", operator="ann", now=WALL_NOW)
    elif state == "not reconciled":
        Account.objects.update(reconciliation="pending")
    else:
        make_strategy().__class__.objects.update(enabled=False)
    assert codes(submit(account)) == [code]


def test_a_switch_that_nobody_ever_set_stops_everything() -> None:
    account = make_account()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE risk_killswitchevent DISABLE TRIGGER risk_killswitchevent_append_only")
        cursor.execute("DELETE FROM risk_killswitchevent")
        cursor.execute("ALTER TABLE risk_killswitchevent ENABLE TRIGGER risk_killswitchevent_append_only")
    assert codes(submit(account)) == ["KILL_SWITCH"]


# The same wish


def test_the_same_wish_again_is_the_first_order() -> None:
    account = make_account()
    first, second = submit(account), submit(account)
    assert (first.created, second.created) == (True, False)
    assert first.order == second.order
    assert second.decision_id == first.decision_id
    assert Order.objects.count() == 1
    assert position_of(account).open_buy_quantity == 10


@pytest.mark.parametrize("name", ["client_order_id", "idempotency_key"])
def test_a_denied_wish_under_a_name_gives_its_denials_again(name: str) -> None:
    account = make_account()
    first = submit(account, quantity=D(1001), **{name: "mine"})
    second = submit(account, quantity=D(1001), **{name: "mine"})
    assert (second.created, second.accepted) == (False, False)
    assert second.denials == first.denials
    assert Order.objects.count() == 1


@pytest.mark.parametrize("ending", ["denied", "canceled", "expired", "rejected"])
def test_a_wish_that_came_to_nothing_may_be_tried_again(ending: str) -> None:
    account, broker = desk()
    allow_bursts()
    if ending == "denied":
        make_strategy("manual").__class__.objects.update(enabled=False)
        first = submit(account).order
        make_strategy("manual").__class__.objects.update(enabled=True)
    else:
        first = accepted_order(account, broker)
        broker.end(first.client_order_id, ending)
        recorded(account, broker)
    assert first is not None
    second = make_order(account)
    assert (second.attempt, second.intent_key) == (2, first.intent_key)
    assert second.client_order_id != first.client_order_id
    assert_books_balance(account)


def test_a_wish_that_is_filled_is_not_filled_again() -> None:
    account, broker = desk()
    allow_bursts()
    first = filled_order(account, broker)
    again_wanted = submit(account)
    assert (again_wanted.created, again_wanted.order) == (False, first)


@pytest.mark.parametrize("ending", ["canceled", "expired", "rejected"])
def test_a_wish_that_was_filled_in_part_is_not_tried_again_in_whole(ending: str) -> None:
    account, broker = desk()
    allow_bursts()
    first = accepted_order(account, broker)
    broker.fill(first.client_order_id, "4")
    broker.end(first.client_order_id, ending)
    recorded(account, broker)
    second = submit(account)
    assert (second.created, second.order) == (False, first)
    assert submit(account, client_order_id="more").created


DIFFERENT = [
    {"strategy": "momentum"},
    {"symbol": "MSFT"},
    {"side": Side.SELL},
    {"quantity": D(11)},
    {"order_type": OrderType.LIMIT, "limit_price": D(100)},
    {"time_in_force": TimeInForce.CLS},
    {"reduce_only": True},
    {"order_type": OrderType.STOP, "stop_price": D(101)},
]


@pytest.mark.parametrize("change", DIFFERENT, ids=str)
@pytest.mark.parametrize("name", ["client_order_id", "idempotency_key"])
def test_a_name_used_for_another_wish_is_a_conflict_and_changes_nothing(name: str, change: dict[str, Any]) -> None:
    account = make_account()
    submit(account, **{name: "mine"})
    before = counts()
    with pytest.raises(OrderConflict):
        submit(account, **{name: "mine"}, **change)
    assert counts() == before


def test_a_conflict_names_what_differs() -> None:
    account = make_account()
    submit(account, client_order_id="mine")
    with pytest.raises(OrderConflict, match=r"quantity: .* '10', now '12'"):
        submit(account, client_order_id="mine", quantity=D(12))


def test_a_key_under_another_id_is_a_conflict() -> None:
    account = make_account()
    submit(account, client_order_id="mine", idempotency_key="key")
    with pytest.raises(OrderConflict, match="client_order_id"):
        submit(account, client_order_id="another", idempotency_key="key")


def test_an_id_of_one_order_with_the_key_of_another_is_a_conflict() -> None:
    account = make_account()
    allow_bursts()
    submit(account, client_order_id="first", idempotency_key="key-1")
    submit(account, client_order_id="second", idempotency_key="key-2")
    before = counts()
    with pytest.raises(OrderConflict):
        submit(account, client_order_id="first", idempotency_key="key-2")
    assert counts() == before


def test_the_same_number_written_otherwise_is_the_same_wish() -> None:
    account = make_account()
    submit(account, client_order_id="mine", quantity=D("10.00"))
    assert not submit(account, client_order_id="mine", quantity=D("1E+1")).created


def test_the_same_wish_in_the_next_session_is_a_new_order() -> None:
    account = make_account()
    first = submit(account)
    account.feed.market_at = MARKET_AT + timedelta(days=1)
    account.feed.save()
    make_quote(account.feed, at=account.feed.market_at)
    second = submit(account)
    assert second.created
    assert second.order != first.order


def test_the_same_wish_in_another_account_is_a_new_order() -> None:
    one, two = make_account(), make_account()
    assert submit(one).created
    assert submit(two).created
    assert len(set(Order.objects.values_list("client_order_id", flat=True))) == 1


# Batches


def test_each_order_of_a_batch_sees_the_ones_before_it() -> None:
    account = make_account()
    allow_bursts()
    results = batch(
        account,
        {"quantity": D(600), "client_order_id": "a"},
        {"quantity": D(600), "client_order_id": "b"},
        {"quantity": D(400), "client_order_id": "c"},
    )
    assert [result.accepted for result in results] == [True, False, True]
    assert codes(results[1]) == ["POSITION_LIMIT", "NOTIONAL_LIMIT"]
    assert position_of(account).open_buy_quantity == 1000
    assert_books_balance(account)


def test_a_batch_keeps_to_the_interval_between_orders_of_a_name() -> None:
    account = make_account()
    results = batch(account, {"client_order_id": "a"}, {"client_order_id": "b"})
    assert [codes(result) for result in results] == [[], ["ORDER_INTERVAL"]]


def test_the_same_wish_twice_in_a_batch_is_one_order() -> None:
    account = make_account()
    first, second = batch(account, {}, {})
    assert (first.created, second.created) == (True, False)
    assert first.order == second.order
    assert Order.objects.count() == 1


def test_a_wish_that_is_an_order_already_is_given_back_within_a_batch() -> None:
    account = make_account()
    allow_bursts()
    before = submit(account, client_order_id="old")
    new, old = batch(account, {"client_order_id": "new"}, {"client_order_id": "old"})
    assert (new.created, old.created, old.order) == (True, False, before.order)


def test_a_refused_order_does_not_stop_the_rest_of_its_batch() -> None:
    account = make_account()
    allow_bursts()
    results = batch(account, {"symbol": "NONE"}, {"quantity": D("NaN")}, {"client_order_id": "good"})
    assert [result.order is not None for result in results] == [False, False, True]
    assert Decision.objects.count() == 3


@pytest.mark.parametrize(
    "wishes",
    [
        ({"client_order_id": "x"}, {"client_order_id": "x", "quantity": D(11)}),
        ({"idempotency_key": "k"}, {"idempotency_key": "k", "quantity": D(11)}),
        ({"idempotency_key": "k", "client_order_id": "x"}, {"idempotency_key": "k", "client_order_id": "y"}),
        ({"idempotency_key": "k"}, {"idempotency_key": "k", "client_order_id": "y"}),
    ],
    ids=["one id, two wishes", "one key, two wishes", "one key, two ids", "one key, with and without an id"],
)
def test_one_name_for_two_orders_of_a_batch_is_a_conflict(wishes: tuple[dict[str, Any], ...]) -> None:
    account = make_account()
    allow_bursts()
    with pytest.raises(OrderConflict):
        batch(account, {"client_order_id": "before"}, *wishes)
    assert counts() == [0, 0, 0, 0]


def test_the_same_id_and_wish_twice_in_a_batch_is_one_order() -> None:
    account = make_account()
    allow_bursts()
    first, second = batch(account, {"client_order_id": "x"}, {"client_order_id": "x", "idempotency_key": "k"})
    assert (first.created, second.created, first.order) == (True, False, second.order)


def test_a_conflict_undoes_the_whole_batch() -> None:
    account = make_account()
    allow_bursts()
    submit(account, client_order_id="old")
    before = counts()
    with pytest.raises(OrderConflict):
        batch(account, {"client_order_id": "new"}, {"client_order_id": "old", "quantity": D(11)})
    assert counts() == before
    assert position_of(account).open_buy_quantity == 10


def test_a_batch_over_many_names_reserves_each_on_its_own_line() -> None:
    account = make_account()
    allow_bursts()
    make_strategy("momentum")
    for symbol in ("IBM", "MSFT"):
        make_instrument(symbol)
        make_quote(account.feed, symbol, "50")
    batch(
        account,
        {"symbol": "IBM", "client_order_id": "a"},
        {"symbol": "MSFT", "side": Side.SELL, "client_order_id": "b"},
        {"symbol": "IBM", "strategy": "momentum", "client_order_id": "c"},
        {"symbol": "IBM", "client_order_id": "d"},
    )
    assert position_of(account, "IBM").open_buy_quantity == 20
    assert position_of(account, "IBM", "momentum").open_buy_quantity == 10
    assert position_of(account, "MSFT").open_sell_quantity == 10
    assert_books_balance(account)


def test_names_of_a_batch_count_against_the_limit_of_names() -> None:
    account = make_account()
    allow_bursts()
    allow(max_names=2)
    for symbol in ("IBM", "MSFT", "FB"):
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    results = batch(
        account, {"symbol": "IBM"}, {"symbol": "MSFT"}, {"symbol": "FB"}, {"symbol": "IBM", "quantity": D(3)}
    )
    assert [result.accepted for result in results] == [True, True, False, True]


# What the gate knows


def test_the_rate_of_orders_is_counted_by_the_market_minute() -> None:
    account = make_account()
    allow(min_order_interval_seconds=0, max_orders_per_minute=2)
    results = [submit(account, client_order_id=f"n{number}") for number in range(3)]
    assert [codes(result) for result in results] == [[], [], ["ORDER_RATE"]]
    account.feed.market_at = MARKET_AT + timedelta(minutes=1)
    account.feed.save()
    assert submit(account, client_order_id="next minute").accepted


def day(account: Account, date: str, equity: int) -> None:
    zero = dict.fromkeys(("realized_pnl", "unrealized_pnl", "fees", "pnl", "gross_exposure", "net_exposure"), D(0))
    AccountDay.objects.create(
        account=account,
        date=date,
        cash=D(equity),
        equity=D(equity),
        peak_equity=D(200_000),
        closed_at=MARKET_AT,
        **zero,
    )


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ({"2012-06-13": 102_500}, ["DAILY_LOSS"]),
        ({"2012-06-08": 106_000, "2012-06-13": 101_000}, ["WEEKLY_LOSS"]),
        ({"2012-06-08": 101_000, "2012-06-13": 101_000}, []),
        ({"2012-06-14": 150_000}, []),
    ],
    ids=["since yesterday", "since last week", "within both", "today's close is no base of today"],
)
def test_losses_count_from_the_last_close_and_from_last_weeks(closes: dict[str, int], expected: list[str]) -> None:
    account = make_account()
    for date, equity in closes.items():
        before_the_deposit = date < str(account.feed.market_now(WALL_NOW).date())  # which moves the bases before it
        day(account, date, equity - int(account.starting_cash) * before_the_deposit)
    assert codes(submit(account)) == expected


def test_a_held_position_is_counted_at_the_newest_price() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, quantity=D(900), client_order_id="held")
    make_quote(account.feed, last="110", at=MARKET_AT)
    result = submit(account, quantity=D(20))
    assert codes(result) == ["NOTIONAL_LIMIT"]


def test_the_decision_keeps_all_that_the_gate_knew() -> None:
    account = make_account()
    submit(account)
    case = Decision.objects.get().case
    assert case["price"] == {
        "last": "100",
        "bid": "99.99",
        "ask": "100.01",
        "at": MARKET_AT.isoformat(),
        "age_seconds": 0,
    }
    assert (case["equity"], case["trading_date"], case["reserve_price"]) == ("100000", "2012-06-14", "100")
    assert case["limits"]["account"]["max_position_quantity"] == "1000"
    assert case["state"] == {
        "halted_by": [],
        "halt_level": "active",
        "breaker": "open",
        "reconciliation": "clean",
        "clock_skew_ms": None,
        "release": "",
        "version": "",
    }


@pytest.mark.parametrize(("held", "against"), [(Side.SELL, Side.BUY), (Side.BUY, Side.SELL)])
def test_a_limit_lowered_below_what_is_held_does_not_stop_what_reduces(held: Side, against: Side) -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, side=held, quantity=D(500), client_order_id="held")
    allow(max_position_quantity=100)
    assert "POSITION_LIMIT" in codes(submit(account, side=held, quantity=D(1)))
    assert submit(account, side=against, quantity=D(450)).accepted
    line = position_of(account)
    assert (line.long_cap if against == Side.BUY else line.short_cap) == 100
    assert_books_balance(account)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("open_buy_quantity", "1001"),
        ("open_sell_quantity", "1001"),
        ("open_buy_quantity", "-1"),
        ("reserved_loss", "-1"),
        ("open_order_count", "-1"),
        ("current_price", "0"),
        ("cost_basis", "5"),
    ],
)
def test_the_row_itself_refuses_what_no_service_would_write(column: str, value: str) -> None:
    account = make_account()
    submit(account)
    submit(account, side=Side.SELL, quantity=D(5), client_order_id="other side")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE execution_position SET {column} = {value}, short_cap = 1000")


@pytest.mark.django_db(transaction=True)
def test_news_of_orders_goes_out_after_the_commit_and_not_without_one() -> None:
    account = make_account()
    heard: list[tuple[int, list[int]]] = []

    def listen(sender: object, account_id: int, order_ids: list[int], **_: object) -> None:
        heard.append((account_id, order_ids))

    orders_changed.connect(listen)
    try:
        with transaction.atomic():
            submit(account, client_order_id="undone")
            transaction.set_rollback(True)
        assert heard == []
        result = submit(account, client_order_id="done")
        assert result.order is not None
        assert heard == [(account.pk, [result.order.pk])]
        submit(account, client_order_id="done")
        assert len(heard) == 1
    finally:
        orders_changed.disconnect(listen)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("wish", "woken"), [({}, True), ({"quantity": D(1001)}, False)], ids=["accepted", "denied"])
def test_the_dispatcher_is_woken_at_the_commit_of_what_is_to_be_sent(wish: dict[str, Any], woken: bool) -> None:
    account = make_account()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN portcullis_dispatch")
        submit(account, **wish)
        heard = [note.payload for note in connection.connection.notifies(timeout=0.1, stop_after=1)]
        cursor.execute("UNLISTEN *")
    assert heard == ([str(account.pk)] if woken else [])


def test_an_order_canceled_before_it_was_sent_frees_its_room() -> None:
    account, broker = desk()
    allow_bursts()
    order = make_order(account, quantity=D(1000))
    assert not submit(account, quantity=D(1)).accepted
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert submit(account, quantity=D(2)).accepted
    dispatch(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    assert_books_balance(account)


def test_intents_of_a_batch_stay_as_they_were() -> None:
    account = make_account()
    intent = make_intent()
    before = replace(intent)
    submit_orders(intents=[intent], account=account, wall_now=WALL_NOW)
    assert intent == before


# Locks


def batch_against_somebody_who_locks_rows(account: Account) -> list[Any]:
    """Submit a batch over rows that another transaction takes one by one, in the order of their keys."""
    allow_bursts()
    symbols = [f"L{number}" for number in range(8)]
    for symbol in symbols:
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    for symbol in reversed(symbols):
        submit(account, symbol=symbol, quantity=D(1))
    rows = list(Position.objects.filter(account=account).order_by("pk"))
    holding = Event()

    def lock_all_in_order() -> None:
        with transaction.atomic():
            list(Position.objects.select_for_update(no_key=True).filter(pk=rows[0].pk))
            holding.set()
            wait_until_somebody_waits()
            for row in rows[1:]:
                list(Position.objects.select_for_update(no_key=True).filter(pk=row.pk))

    def submit_batch() -> None:
        holding.wait(30)
        batch(account, *({"symbol": symbol, "quantity": D(2)} for symbol in symbols))

    return together(lock_all_in_order, submit_batch)


@pytest.mark.django_db(transaction=True)
def test_a_batch_takes_position_rows_in_the_order_everybody_does() -> None:
    account = make_account()
    assert batch_against_somebody_who_locks_rows(account) == [None, None]
    assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_control_a_batch_that_takes_rows_in_its_own_order_deadlocks(monkeypatch: pytest.MonkeyPatch) -> None:
    before, found, rest = statements.WRITE_ORDERS.partition("    ORDER BY (SELECT e.id")
    assert found
    # The other way round: without any order it is the plan's, which may happen to be everybody's.
    backwards = found.replace("e.id", "-e.id")
    monkeypatch.setattr(statements, "WRITE_ORDERS", before + backwards + rest)
    answers = batch_against_somebody_who_locks_rows(make_account())
    assert sum(isinstance(answer, OperationalError) for answer in answers) == 1
