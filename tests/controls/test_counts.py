"""What the controls count, how it is told, and when it is counted anew."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.models import Account, Order, Position, Strategy
from execution.services.cancels import request_cancel
from execution.services.orders import submit_orders
from execution.services.replaces import request_replace
from marketdata.models import Feed, Instrument, Quote
from risk.models import Alert, Decision
from risk.types import DenialCode, OrderType, Origin, Side
from tests.controls.scenarios import child, parent_of_ten
from tests.execution.cases import FakeBroker, accepted_order, filled_order
from tests.factories import (
    MARKET_AT,
    WALL_NOW,
    allow,
    allow_bursts,
    make_account,
    make_instrument,
    make_intent,
    make_order,
    make_quote,
    make_strategy,
    submit,
)

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def account() -> Account:
    allow_bursts()
    return make_account()


def codes(account: Account, **fields: Any) -> list[DenialCode]:
    return [denial.code for denial in submit(account, **fields).denials]


def line() -> Position:
    return Position.objects.get(instrument__symbol="AAPL", strategy__name="manual")


def later(account: Account, **time: int) -> None:
    at = MARKET_AT + timedelta(**time)
    Feed.objects.filter(pk=account.feed_id).update(market_at=at)
    Quote.objects.filter(feed=account.feed).update(at=at)


def limit(price: str, side: Side = Side.BUY, **fields: Any) -> dict[str, Any]:
    return {"side": side, "order_type": OrderType.LIMIT, "limit_price": D(price)} | fields


def test_40_orders_alike_are_counted_within_their_window(account: Account) -> None:
    allow(max_identical_orders=2, identical_window_seconds=60)
    assert [codes(account, idempotency_key=f"k{number}") for number in range(3)] == [
        [],
        [],
        [DenialCode.DUPLICATE_ORDER],
    ]
    assert codes(account, idempotency_key="other terms", quantity=D(11)) == []
    later(account, seconds=59)
    assert codes(account, idempotency_key="still") == [DenialCode.DUPLICATE_ORDER]
    later(account, seconds=60)
    assert codes(account, idempotency_key="over") == []


def test_40_a_batch_counts_its_own_orders_alike(account: Account) -> None:
    allow(max_identical_orders=2, identical_window_seconds=60)
    intents = [make_intent(client_order_id=f"b{number}") for number in range(3)]
    results = submit_orders(intents=intents, account=account, wall_now=WALL_NOW)
    assert [result.accepted for result in results] == [True, True, False]


def test_40_a_strategy_in_a_loop_is_switched_off_until_a_person_enables_it(account: Account) -> None:
    allow(max_repeated_orders=2)
    wishes = [limit(f"{99 - number}") for number in range(5)]
    assert codes(account, **wishes[0]) == codes(account, **wishes[1]) == []
    assert codes(account, **wishes[2]) == [DenialCode.REPEATED_ORDERS]
    assert not Strategy.objects.get(name="manual").enabled
    assert codes(account, **wishes[3]) == [DenialCode.STRATEGY_DISABLED]
    alert = Alert.objects.get(code="strategy_throttled")
    assert (alert.severity, alert.subject) == ("critical", f"{account.scope} strategy:manual")
    Strategy.objects.update(enabled=True)
    assert codes(account, **wishes[4]) == []


def test_the_row_of_orders_begins_anew_after_its_window_and_counts_sides_apart(account: Account) -> None:
    allow(max_repeated_orders=2, repeat_window_seconds=600)
    assert codes(account, **limit("99")) == codes(account, **limit("98")) == []
    assert codes(account, **limit("101", Side.SELL)) == []
    assert (line().buy_run_count, line().sell_run_count) == (2, 1)
    later(account, seconds=600)
    assert codes(account, **limit("97")) == []
    assert line().buy_run_count == 1


def test_a_replay_of_history_switches_no_strategy_off(account: Account) -> None:
    replay = make_account(kind="replay")
    allow(max_repeated_orders=0)
    assert codes(replay) == [DenialCode.REPEATED_ORDERS]
    assert Strategy.objects.get(name="manual").enabled
    assert not Alert.objects.exists()


def test_cancels_are_counted_with_the_orders_and_never_stopped(account: Account) -> None:
    broker = FakeBroker()
    allow(max_messages_per_minute=2)
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert line().message_count == 2
    assert codes(account, **limit("99")) == [DenialCode.MESSAGE_RATE]
    later(account, minutes=1)
    orders = [make_order(account, **limit(price)) for price in ("98", "97")]
    for each in orders:
        request_cancel(order=each, operator="ann", wall_now=WALL_NOW)
    assert set(Order.objects.filter(pk__in=[each.pk for each in orders]).values_list("status", flat=True)) == {
        "canceled"
    }
    later(account, minutes=2)
    assert codes(account, **limit("96")) == []


def test_turnover_is_of_the_session_and_new_terms_count_instead_of_the_old_ones(account: Account) -> None:
    broker = FakeBroker()
    order = accepted_order(account, broker, **limit("100"))
    assert line().turnover == 1_000
    request_replace(order=order, limit_price=D("101"), operator="ann", origin=Origin.API, wall_now=WALL_NOW)
    assert line().turnover == 1_010
    allow(max_daily_turnover=1_000)
    assert codes(account, **limit("90", quantity=D(1))) == [DenialCode.TURNOVER_LIMIT]
    later(account, days=1)
    assert codes(account, **limit("90", quantity=D(1))) == []
    assert line().turnover == 90


def test_names_of_a_sector_share_its_limit_and_those_without_one_share_theirs(account: Account) -> None:
    for symbol in ("FB", "IBM", "MSFT"):
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    Instrument.objects.filter(symbol__in=["AAPL", "MSFT"]).update(sector="Technology")
    allow(max_sector_notional=1_500)
    assert codes(account) == codes(account, symbol="FB") == []
    assert codes(account, symbol="MSFT") == [DenialCode.SECTOR_LIMIT]
    assert codes(account, symbol="IBM") == [DenialCode.SECTOR_LIMIT]
    assert codes(account, symbol="IBM", quantity=D(5)) == []


def test_a_sector_binds_all_strategies_together(account: Account) -> None:
    make_strategy("momentum")
    allow(max_sector_notional=1_500)
    assert codes(account) == []
    assert codes(account, strategy="momentum") == [DenialCode.SECTOR_LIMIT]


def test_a_batch_counts_sectors_turnover_and_resting_prices_of_its_own_orders(account: Account) -> None:
    allow(max_sector_notional=1_500)
    intents = [make_intent(**limit("100")), make_intent(**limit("99")), make_intent(**limit("99.50", Side.SELL))]
    results = submit_orders(intents=intents, account=account, wall_now=WALL_NOW)
    assert [[denial.code for denial in result.denials] for result in results] == [
        [],
        [DenialCode.SECTOR_LIMIT],
        [DenialCode.SELF_TRADE],
    ]


def test_21_strategies_of_one_account_do_not_trade_with_each_other(account: Account) -> None:
    make_strategy("momentum")
    make_order(account, **limit("101", Side.SELL))
    assert codes(account, strategy="momentum", **limit("101")) == [DenialCode.SELF_TRADE]
    assert codes(account, strategy="momentum", **limit("100.99")) == []
    assert codes(account, strategy="momentum") == []  # a market order reaches to the ask of 100.01


def test_21_a_market_order_meets_our_own_best_price_and_what_reduces_passes(account: Account) -> None:
    make_strategy("momentum")
    filled_order(account, FakeBroker(), strategy="momentum")
    make_order(account, **limit("99.99"))
    assert codes(account, side=Side.SELL) == [DenialCode.SELF_TRADE]
    assert codes(account, side=Side.SELL, strategy="momentum") == []


def test_21_an_order_that_is_over_is_met_by_nobody(account: Account) -> None:
    order = make_order(account, **limit("101", Side.SELL))
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert codes(account, **limit("101")) == []


def test_21_it_can_be_switched_off(account: Account) -> None:
    make_order(account, **limit("101", Side.SELL))
    allow(self_trade_prevention=0)
    assert codes(account, **limit("101")) == []


def test_141_a_limit_is_not_held_against_an_old_quote(account: Account) -> None:
    allow(max_nbbo_age_seconds=60)
    Quote.objects.filter(feed=account.feed).update(at=MARKET_AT - timedelta(seconds=61))
    assert codes(account, **limit("100")) == [DenialCode.NBBO_COLLAR]
    assert codes(account) == []


def test_155_each_slice_is_judged_by_what_is_known_then(account: Account) -> None:
    parent_of_ten(account)
    Instrument.objects.update(average_daily_volume=D(100))
    assert codes(account, **child(1)) == [DenialCode.ADV_LIMIT]
    Instrument.objects.update(average_daily_volume=D(10_000_000))
    assert codes(account, **child(0)) == []
    assert codes(account, **child(2)) == [DenialCode.PARENT_EXCEEDED]


def test_a_child_of_another_accounts_parent_is_denied(account: Account) -> None:
    parent_of_ten(account)
    assert codes(make_account(), **child(0)) == [DenialCode.PARENT_EXCEEDED]


def test_a_soft_limit_lets_pass_warns_and_is_told_once(account: Account) -> None:
    allow(max_order_quantity=100)
    assert submit(account, quantity=D(80)).warnings == []
    result = submit(account, quantity=D(81))
    assert result.accepted
    assert [warning.code for warning in result.warnings] == [DenialCode.FAT_FINGER_QUANTITY]
    assert submit(account, quantity=D(82)).accepted
    warning = Decision.objects.order_by("id")[1].warnings[0]
    assert (warning["code"], warning["limit"], warning["observed"]) == ("FAT_FINGER_QUANTITY", "80", "81")
    alert = Alert.objects.get(code="soft_limit")
    assert (alert.severity, alert.count, alert.detail["symbol"]) == ("warning", 2, "AAPL")


def test_a_soft_value_of_its_own_counts_and_zero_warns_of_nothing(account: Account) -> None:
    allow(max_order_quantity=100, soft_max_order_quantity=90)
    assert submit(account, quantity=D(90)).warnings == []
    assert submit(account, quantity=D(91)).warnings != []
    allow(soft_max_order_quantity=0)
    assert submit(account, quantity=D(92)).warnings == []


def test_what_is_denied_counts_in_no_window(account: Account) -> None:
    make_order(account)
    allow(max_order_quantity=1)
    assert codes(account, quantity=D(20)) == [DenialCode.FAT_FINGER_QUANTITY]
    assert (line().message_count, line().turnover, line().buy_run_count) == (1, 1_000, 1)
