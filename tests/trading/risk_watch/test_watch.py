"""Looks at an account: what trips, what is told, what is remembered, and that two watchers trip once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier

import pytest
from django.db import OperationalError, connection

from execution.models import Account, BrokerLink, CashEntry, Position
from execution.services.sessions import close_session
from marketdata.services.feeds import set_market_time
from risk.models import Alert, BreakerEvent, BrokerFault, RiskReading
from risk.selectors import breaker_status
from risk.services import breaker
from risk.states import AlertState, BreakerState
from tests.factories import WALL_NOW, D, allow
from tests.trading.risk_watch.desk import SECOND, Desk
from trading.services.risk_watch import look_again, watch, watch_account
from trading.services.risk_watch.account_view import read_view

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk():
    return Desk().hold()


@pytest.mark.parametrize(("last", "state"), [("98.01", "open"), ("98", "tripped"), ("97.99", "tripped")])
def test_166_a_loss_that_nobody_realised_trips_without_any_order(desk, last, state):
    desk.look()
    desk.price(last).looks(2)
    assert desk.state == state
    if state == "tripped":
        event = BreakerEvent.objects.latest("id")
        assert (event.cause, event.operator) == ("daily_loss", "risk watch")
        assert "% allowed" in event.reason


def test_163_one_bad_price_trips_nothing(desk):
    desk.look()
    desk.price(50).look()
    assert desk.state == "open"
    assert desk.reading.streaks["daily_loss"] == 1
    desk.price(100).looks(5)
    assert desk.state == "open"
    assert desk.reading.streaks == {}


def test_163_from_the_peak_of_one_wrong_price_the_right_one_is_no_loss(desk):
    desk.look()
    desk.price(150).look()
    desk.price(100).looks(5)
    assert (desk.state, desk.reading.peak_equity) == ("open", 100_000)


def test_a_peak_that_was_seen_twice_counts(desk):
    allow(daily_loss_pct=100, weekly_loss_pct=100)
    desk.look()
    desk.price(150).looks(2)
    assert desk.reading.session_peak_equity == 150_000
    desk.price("145.5").looks(2)
    assert (desk.state, desk.cause) == ("tripped", "intraday_loss")


def test_the_number_of_looks_that_have_to_agree_is_a_limit(desk):
    allow(breaker_confirmations=3)
    desk.look()
    desk.price(90).looks(2)
    assert desk.state == "open"
    assert desk.look().tripped == "daily_loss"


def test_drawdown_counts_from_the_highest_close_of_the_past(desk):
    allow(daily_loss_pct=100, weekly_loss_pct=100, intraday_loss_pct=100)
    Position.objects.update(current_price=110)
    closed(desk)
    desk.price(100).look()
    assert desk.reading.peak_equity == 110_000
    desk.price("99.01").looks(2)
    assert desk.state == "open"
    desk.price("98.99").looks(2)
    assert (desk.state, desk.cause) == ("tripped", "drawdown")


def test_102_a_deposit_hides_no_loss_and_a_withdrawal_is_none(desk):
    closed(desk)
    desk.look()
    transfer(desk.account, 50_000)
    desk.price("97").looks(2)
    assert desk.reading.equity == 147_000
    assert desk.reading.day_base_equity == desk.reading.peak_equity == 150_000
    assert (desk.state, desk.cause) == ("tripped", "daily_loss")


def test_102_money_that_leaves_is_no_loss(desk):
    closed(desk)
    desk.look()
    transfer(desk.account, -50_000)
    desk.looks(3)
    assert desk.state == "open"
    assert desk.reading.session_peak_equity == desk.reading.equity == 50_000


def closed(desk):
    close_session(account=desk.account, day=date(2012, 6, 13), wall_now=WALL_NOW)


def transfer(account, amount):
    kind = CashEntry.Kind.DEPOSIT if amount > 0 else CashEntry.Kind.WITHDRAWAL
    CashEntry.objects.create(
        account=account, kind=kind, amount=D(amount), reference="t", trading_date=date(2012, 6, 14), market_at=WALL_NOW
    )
    Account.objects.filter(pk=account.pk).update(cash=Account.objects.get(pk=account.pk).cash + D(amount))


@pytest.mark.parametrize("hour", [3, 4, 5])  # 23:00 in New York, midnight there, and after it
def test_103_the_day_of_a_loss_is_the_exchanges_and_no_midnight_ends_it(hour):
    desk = Desk().hold()
    closed(desk)
    desk.price("98.5").look()
    assert read_view(account=desk.account, wall_now=WALL_NOW).day_base_equity == 100_000
    set_market_time(feed=desk.account.feed, at=datetime(2012, 6, 15, hour, 0, tzinfo=UTC))
    desk.look()
    # No close of the 14th has been written yet, so the loss of that session is still there.
    assert desk.reading.day_base_equity == 100_000
    assert desk.verdict("daily_loss") == "good"
    assert desk.reading.equity == 98_500


@pytest.mark.parametrize(("count", "state"), [(9, "open"), (10, "open"), (11, "tripped")])
@pytest.mark.parametrize(("kind", "cause"), [("reject", "reject_burst"), ("error", "broker_errors")])
def test_bursts_at_one_below_the_limit_at_it_and_above(desk, kind, cause, count, state):
    fault(desk, kind, count, WALL_NOW)
    desk.look()
    assert desk.state == state
    assert state == "open" or desk.cause == cause


def test_a_burst_is_counted_in_the_minute_before_the_look(desk):
    fault(desk, "reject", 11, WALL_NOW - timedelta(seconds=59))
    desk.look()  # one second later: a minute ago
    assert desk.state == "open"
    fault(desk, "reject", 11, WALL_NOW)
    fault(make_other(), "reject", 11, WALL_NOW)
    desk.look()
    assert desk.cause == "reject_burst"


def make_other():
    return Desk()


def fault(desk, kind, count, at):
    BrokerFault.objects.bulk_create(BrokerFault(scope=desk.account.scope, kind=kind, at=at) for _ in range(count))


@pytest.mark.parametrize(("age", "state"), [(59, "open"), (60, "open"), (61, "tripped")])
def test_139_a_held_name_without_a_price_for_too_long_trips(age, state):
    desk = Desk().hold()
    allow(max_feed_age_seconds=60)
    market_at = desk.account.feed.market_now(WALL_NOW)
    set_market_time(feed=desk.account.feed, at=market_at + timedelta(seconds=age))
    desk.looks(2)
    assert desk.state == state
    if state == "tripped":
        assert desk.cause == "stale_feed"
        assert "AAPL" in breaker_status(desk.account.scope, desk.now).reason


def test_a_name_that_is_not_held_may_be_as_old_as_it_likes():
    desk = Desk()
    allow(max_feed_age_seconds=60)
    set_market_time(feed=desk.account.feed, at=desk.account.feed.market_now(WALL_NOW) + timedelta(hours=4))
    desk.looks(3)
    assert desk.state == "open"


@pytest.mark.parametrize(("word", "state"), [("clean", "open"), ("pending", "open"), ("broken", "tripped")])
def test_a_book_that_differs_trips_and_one_not_compared_yet_waits(desk, word, state):
    Account.objects.filter(pk=desk.account.pk).update(reconciliation=word)
    desk.look()
    assert desk.state == state
    assert state == "open" or desk.cause == "reconciliation_failed"


@pytest.mark.parametrize(
    ("skew", "state", "cause"),
    [(999, "open", ""), (-1000, "open", ""), (1001, "tripped", "clock_skew"), (None, "tripped", "unreadable")],
)
def test_133_a_brokers_clock_that_is_off_trips_and_one_nobody_has_read_too(skew, state, cause):
    desk = Desk(mode=Account.Mode.ALPACA_PAPER)
    Account.objects.filter(pk=desk.account.pk).update(reconciliation="clean")
    BrokerLink.objects.create(account=desk.account, clock_skew_milliseconds=skew)
    desk.looks(29 if skew is None else 0)
    assert desk.state == "open"
    desk.look()
    assert desk.state == state
    assert state == "open" or desk.cause == cause


def test_before_the_first_comparison_nobody_has_read_the_brokers_clock():
    desk = Desk(mode=Account.Mode.ALPACA_PAPER)
    desk.look()
    assert desk.state == "open"


def test_an_equity_that_is_no_number_trips_at_once_and_moves_no_peak(desk, monkeypatch):
    desk.look()
    whole = read_view

    def broken(**asked):
        from dataclasses import replace

        return replace(whole(**asked), equity=D("NaN"))

    monkeypatch.setattr(watch, "read_view", broken)
    assert desk.look().tripped == "unreadable"
    assert desk.reading.equity is None
    assert desk.reading.peak_equity == 100_000
    assert desk.verdict("daily_loss") == "unreadable"


def test_a_database_that_fails_leaves_no_half_of_a_look(desk, monkeypatch):
    desk.look()
    desk.price(90).look()
    before = desk.reading.evaluated_at

    def away(*_, **__):
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(RiskReading, "save", away)
        with pytest.raises(OperationalError):
            desk.look()
    assert desk.state == "open"
    assert desk.reading.evaluated_at == before
    assert not Alert.objects.filter(code="breaker_tripped").exists()
    desk.look()
    assert desk.state == "tripped"


@pytest.mark.django_db(transaction=True)
def test_after_a_restart_the_looks_in_a_row_and_the_peaks_are_still_known(desk):
    allow(daily_loss_pct=100, weekly_loss_pct=100)
    desk.look()
    desk.price(120).looks(2)
    desk.price(116).look()
    connection.close()  # a new process knows nothing but the database
    assert desk.look().tripped == "intraday_loss"


def test_two_looks_in_one_moment_are_one(desk):
    desk.look()
    account = Account.objects.select_related("feed").get(pk=desk.account.pk)
    assert watch_account(account=account, wall_now=desk.now + timedelta(milliseconds=499)) is None
    assert watch_account(account=account, wall_now=desk.now + timedelta(milliseconds=500)) is not None


def test_a_wall_clock_that_went_back_does_not_stop_the_watch(desk):
    desk.look()
    account = Account.objects.select_related("feed").get(pk=desk.account.pk)
    assert watch_account(account=account, wall_now=WALL_NOW - timedelta(hours=1)) is not None


def test_165_nothing_resets_by_itself(desk):
    desk.look()
    desk.price(90).looks(2)
    desk.price(110)
    desk.now += timedelta(days=3)
    set_market_time(feed=desk.account.feed, at=datetime(2012, 6, 18, 15, 0, tzinfo=UTC))
    desk.looks(3)
    assert desk.state == "tripped"
    assert BreakerEvent.objects.filter(scope=desk.account.scope).count() == 2


def test_164_a_reset_while_the_cause_lasts_trips_again_and_says_so(desk):
    desk.look()
    desk.price(90).looks(2)
    again = look_again(account=desk.account, wall_now=desk.now)
    assert {one.cause.value for one in again if one.is_over} >= {"daily_loss", "weekly_loss"}
    breaker.reset(scope=desk.account.scope, reason="looks fine to me now", operator="ann", now=desk.now)
    assert desk.state == BreakerState.QUIET_PERIOD
    desk.look()
    status = breaker_status(desk.account.scope, desk.now)
    assert (status.state, status.cause) == ("tripped", "daily_loss")
    assert status.reason.startswith("again after the reset by ann: ")


def test_164_after_a_reset_with_the_cause_gone_it_opens_when_the_quiet_period_is_over(desk):
    desk.look()
    desk.price(90).looks(2)
    desk.price(100)
    assert not [one for one in look_again(account=desk.account, wall_now=desk.now) if one.is_over]
    breaker.reset(scope=desk.account.scope, reason="the price was wrong", operator="ann", now=desk.now)
    desk.looks(2)
    assert desk.state == BreakerState.QUIET_PERIOD
    desk.now += breaker.QUIET_PERIOD
    desk.looks(2)
    assert desk.state == BreakerState.OPEN


def test_looking_again_stores_nothing(desk):
    look_again(account=desk.account, wall_now=desk.now)
    assert not RiskReading.objects.exists()
    assert not Alert.objects.filter(code__startswith="breaker_").exists()


def test_people_are_told_once_of_each_change(desk):
    desk.look()
    desk.price("98.3").looks(4)
    warning = Alert.objects.get(code="breaker_daily_loss")
    assert (warning.severity, warning.count, warning.subject) == ("warning", 1, desk.account.scope)
    desk.price("90").looks(4)
    assert set(Alert.objects.values_list("code", flat=True)) >= {"breaker_tripped", "breaker_daily_loss"}
    desk.price("100").looks(2)
    warning.refresh_from_db()
    assert warning.state == AlertState.RESOLVED
    assert Alert.objects.get(code="breaker_tripped").state == AlertState.OPEN
    breaker.reset(scope=desk.account.scope, reason="the price was wrong", operator="ann", now=desk.now)
    assert Alert.objects.get(code="breaker_tripped").state == AlertState.RESOLVED


def alerts_of(cause):
    return list(Alert.objects.filter(code=f"breaker_{cause}").values_list("severity", "state", "count"))


def test_163_one_bad_price_is_no_alert_and_a_loss_that_lasts_is_a_critical_one(desk):
    desk.look()
    desk.price(90).look()
    desk.price(100).looks(2)
    assert alerts_of("daily_loss") == []
    desk.price(90).looks(4)
    assert alerts_of("daily_loss") == [("critical", "open", 1)]
    assert Alert.objects.get(code="breaker_daily_loss").message.startswith("Lost since the last close: 10%")


def test_a_book_that_is_not_compared_yet_is_no_alert_and_what_comes_of_it_is(desk):
    states = Account.Reconciliation

    def becomes(state):
        Account.objects.filter(pk=desk.account.pk).update(reconciliation=state)
        desk.look()

    becomes(states.PENDING)
    assert desk.verdict("reconciliation_failed") == "warning"
    becomes(states.CLEAN)
    assert alerts_of("reconciliation_failed") == []
    becomes(states.PENDING)
    becomes(states.FORCED)
    assert alerts_of("reconciliation_failed") == [("warning", "open", 1)]
    becomes(states.BROKEN)
    becomes(states.PENDING)  # started anew: nothing says that it agrees
    assert alerts_of("reconciliation_failed") == [("critical", "open", 2)]
    becomes(states.CLEAN)
    assert alerts_of("reconciliation_failed") == [("critical", "resolved", 2)]


def test_133_a_clock_that_is_not_known_yet_is_no_alert_before_it_trips():
    desk = Desk(mode=Account.Mode.ALPACA_PAPER)
    Account.objects.filter(pk=desk.account.pk).update(reconciliation="clean")
    BrokerLink.objects.create(account=desk.account)
    desk.looks(29)
    assert alerts_of("clock_skew") == []
    desk.looks(3)
    assert alerts_of("clock_skew") == [("critical", "open", 1)]


def test_a_missing_state_is_tripped_already_and_the_look_writes_it_down(desk):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE risk_breakerevent DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM risk_breakerevent")
        cursor.execute("ALTER TABLE risk_breakerevent ENABLE TRIGGER ALL")
    desk.look()
    assert (desk.state, desk.cause) == ("tripped", "missing")


def test_a_look_asks_the_database_a_bounded_number_of_times(desk, django_assert_max_num_queries):
    desk.look()
    with django_assert_max_num_queries(14):
        desk.look()


def test_cash_and_shares_are_of_one_moment(desk):
    """A position that was sold since the account was read does not look like money that is gone."""
    account = Account.objects.select_related("feed").get(pk=desk.account.pk)
    Position.objects.filter(account=account).update(quantity=0, cost_basis=0)
    Account.objects.filter(pk=account.pk).update(cash=100_000)
    account.cash = D(0)
    assert read_view(account=account, wall_now=WALL_NOW).equity == 100_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("control", [False, True], ids=["locked", "control without the lock"])
def test_two_watchers_confirm_nothing_to_each_other_and_trip_once(control, monkeypatch):
    """Two looks at the same moment are one look, so one bad price stays one; without the lock they are two."""
    desk = Desk().hold()
    desk.look()
    desk.price(90)
    desk.now += SECOND
    if control:
        monkeypatch.setattr(watch, "SHORTEST", timedelta(0))
    barrier, watchers = Barrier(6), 6

    def one(_):
        try:
            account = Account.objects.select_related("feed").get(pk=desk.account.pk)
            barrier.wait(30)
            for _ in range(5):
                watch_account(account=account, wall_now=desk.now)
        finally:
            connection.close()

    with ThreadPoolExecutor(watchers) as pool:
        list(pool.map(one, range(watchers)))
    assert (desk.state == "tripped") == control
    if not control:
        assert desk.reading.streaks["daily_loss"] == 1
        desk.look()
    assert BreakerEvent.objects.filter(scope=desk.account.scope, state="tripped").count() == 1
