"""Replays: the same twice, the same after an interruption, and books that balance."""

from datetime import date
from decimal import Decimal

import pytest

from execution.brokers.registry import broker_for
from execution.models import AccountDay, Order, Position, PositionAdjustment
from execution.selectors import cash_difference, quantity_differences, reservation_drift
from execution.services.recovery import position_differences
from marketdata.clock import wall_now
from tests.trading.days import orders_of, parameters
from trading.errors import ReplayParameterError
from trading.models import ReplayRun, Run
from trading.replay_report import account_days, as_document, buy_and_hold, check_identity, result_lines
from trading.services.replay import PARTS, DayDone, Replay, replay_range
from trading.states import ReplayState, RunState, Stage
from trading.types import ReplayParameters

pytestmark = pytest.mark.usefixtures("desk")
START, END = date(2012, 1, 3), date(2012, 1, 12)


class Interrupted(Exception):
    """Stands for whatever ended the process."""


def replay(asked: ReplayParameters, **options: object) -> ReplayRun:
    return replay_range(parameters=asked, wall_clock=wall_now, **options)


def numbers_of(row: ReplayRun) -> list[tuple[object, ...]]:
    days = AccountDay.objects.filter(account=row.account).order_by("date")
    return list(days.values_list("date", "cash", "equity", "realized_pnl", "unrealized_pnl", "fees", "fill_count"))


def test_twice_gives_the_same_orders_and_numbers_on_accounts_of_their_own() -> None:
    first, second = replay(parameters(START, END)), replay(parameters(START, END))
    assert first.account_id != second.account_id
    assert len(orders_of(first.account)) > 3
    assert orders_of(first.account) == orders_of(second.account)
    assert numbers_of(first) == numbers_of(second)
    assert len(numbers_of(first)) == 8


def test_books_balance_with_themselves_and_with_the_exchange() -> None:
    row = replay(parameters(START, END))
    identity = check_identity(row.account, account_days(row))
    assert identity.sentence == "equity identity holds on 8 of 8 days (worst difference 0.00)"
    assert identity.holds
    assert identity.worst == 0
    assert reservation_drift(row.account) == quantity_differences(row.account) == []
    assert cash_difference(row.account) == 0
    assert position_differences(account=row.account, broker=broker_for(row.account)) == []
    states = set(Run.objects.filter(account=row.account).values_list("state", flat=True))
    assert states == {RunState.COMPLETED, RunState.SKIPPED}


@pytest.mark.parametrize("stage", list(Stage))
def test_replay_that_died_before_it_noted_a_part_ends_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2012, 1, 4)
    asked = parameters(START, date(2012, 1, 6))
    whole = replay(asked)
    part = PARTS[stage]

    def die_behind(replayed: Replay, played: date) -> None:
        part(replayed, played)
        if played == day:
            raise Interrupted

    with monkeypatch.context() as patched:
        patched.setitem(PARTS, stage, die_behind)
        with pytest.raises(Interrupted):
            replay(asked)
    stopped = ReplayRun.objects.latest("pk")
    assert stopped.last_completed_date != day
    resumed = replay(asked)
    assert (resumed.pk, resumed.state) == (stopped.pk, ReplayState.COMPLETED)
    assert orders_of(resumed.account) == orders_of(whole.account)
    assert numbers_of(resumed) == numbers_of(whole)


def test_other_parameters_or_fresh_do_not_resume() -> None:
    def stop(day: DayDone) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        replay(parameters(START, END), on_day=stop)
    stopped = ReplayRun.objects.latest("pk")
    assert replay(parameters(START, date(2012, 1, 4))).pk != stopped.pk
    assert replay(parameters(START, date(2012, 1, 4)), fresh=True).pk != stopped.pk
    stopped.refresh_from_db()
    assert stopped.state == ReplayState.RUNNING


def test_dry_run_sends_nothing() -> None:
    row = replay(parameters(START, date(2012, 1, 6), dry_run=True))
    orders = Order.objects.filter(account=row.account)
    assert orders.exists()
    assert set(orders.values_list("status", flat=True)) == {"dry_run"}
    assert not Position.objects.filter(account=row.account).exclude(quantity=0).exists()
    assert {day.equity for day in account_days(row)} == {Decimal(100_000)}


def test_split_doubles_the_shares_and_leaves_the_equity() -> None:
    row = replay(parameters(date(2005, 2, 22), date(2005, 3, 2), symbols=("AAPL", "IBM", "MSFT")))
    split = PositionAdjustment.objects.get(position__account=row.account, quantity_after__gt=0, cash_amount=0)
    assert split.quantity_after == 2 * split.quantity_before
    assert split.trading_date == date(2005, 2, 28)
    assert position_differences(account=row.account, broker=broker_for(row.account)) == []
    assert check_identity(row.account, account_days(row)).holds
    worst = min(day.pnl for day in account_days(row))
    assert worst > -5_000


def test_name_listed_inside_the_range_is_traded_once_its_volume_is_known() -> None:
    row = replay(
        parameters(date(2012, 9, 10), date(2012, 9, 14), symbols=("FB", "IBM"), strategies=("mean_reversion",))
    )
    orders = Order.objects.filter(account=row.account)
    assert orders.filter(instrument__symbol="FB", status="filled").exists()
    assert not orders.filter(status="denied").exists()
    early = replay(parameters(date(2012, 5, 16), date(2012, 5, 25), symbols=("FB", "IBM")))
    excluded = Run.objects.filter(account=early.account, strategy__name="mean_reversion").latest("trading_date")
    assert excluded.report["excluded"] == {"FB": "insufficient_history"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ("ZZZ",)}, "--symbols: got ZZZ, allowed: AAPL, FB, GOOG, IBM, MSFT"),
        ({"symbols": ()}, "--symbols: got none, allowed"),
        (
            {"strategies": ("magic",)},
            "--strategy: got magic, allowed: alpha_baseline, ensemble, mean_reversion, momentum",
        ),
        ({"capital": Decimal(0)}, "--capital: got 0, allowed: an amount above 0"),
        ({"capital": Decimal("NaN")}, "--capital: got NaN, allowed"),
        ({"max_position_size": Decimal(0)}, "--max-position-size: got 0, allowed: a number of shares from 1"),
        ({"end": date(2011, 1, 3)}, "--from: got 2012-01-03, allowed: a date up to --to 2011-01-03"),
        ({"end": date(2020, 1, 3)}, "allowed: sessions after 2003-07-01 and up to 2013-03-01"),
        ({"start": date(2012, 1, 1), "end": date(2012, 1, 2)}, "--from/--to: got 2012-01-01 to 2012-01-02"),
    ],
)
def test_parameter_that_is_not_allowed_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ReplayParameterError) as refused:
        replay(parameters(**({"start": START, "end": END} | changes)))
    assert message in str(refused.value)
    assert not ReplayRun.objects.exists()


def test_document_holds_results_days_and_orders() -> None:
    asked = parameters(START, END)
    row = replay(asked)
    days = account_days(row)
    lines = result_lines(row, asked, days)
    document = as_document(row, lines, days, check_identity(row.account, days))
    assert [line["name"] for line in document["results"]] == ["mean_reversion", "momentum", "account", "buy and hold"]
    assert document["days"][-1]["date"] == "2012-01-12"
    assert {order["status"] for order in document["orders"]} == {"filled"}
    account = document["results"][2]
    assert Decimal(account["return"]) == (days[-1].equity / 100_000 - 1).quantize(Decimal("1E-8"))
    assert sum(line["orders"] for line in document["results"][:2]) == account["orders"]
    assert Run.objects.filter(account=row.account, state="completed").first().sizing["capital"] == "50000"


def test_buy_and_hold_of_one_symbol_is_its_price() -> None:
    dates = [date(2012, 1, 3), date(2012, 1, 4)]
    path = buy_and_hold(parameters(START, END, symbols=("IBM",)), dates)
    assert path[0] == pytest.approx(Decimal(100_000) * Decimal("186.30") / Decimal("186.73"))
    assert buy_and_hold(parameters(START, END, symbols=("FB",)), dates) == []
    assert buy_and_hold(parameters(START, END), []) == []
