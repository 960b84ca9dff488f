"""A desk at a broker knows before each open what the broker does not trade or lend."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.brokers import registry
from execution.brokers.alpaca.assets import MOST_ONE_BY_ONE
from execution.brokers.base import BrokerError
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.market import Listing
from execution.emulator.server import RunningEmulator
from execution.models import Account, BrokerLink
from execution.services.accounts import open_account
from execution.services.broker_link import link_of
from execution.services.orders import submit_order
from marketdata import calendar
from marketdata.clock import ClockState
from marketdata.models import Feed, Instrument
from marketdata.services.feeds import follow_clock
from risk.services import kill_switch
from risk.types import Side
from tests.execution.brokers.alpaca.emulated import emulator_at
from tests.factories import WALL_NOW, allow, make_instrument, make_intent, make_order, make_quote, make_strategy
from trading.services.broker_assets import TRY_AGAIN_AFTER, assets_are_due, refresh_assets, symbols_of_interest
from trading.services.schedule import due_work
from trading.tasks import TASKS, read_assets

pytestmark = pytest.mark.django_db
DAY = date(2012, 6, 14)
OPENING = calendar.session_open(DAY)
MORNING = OPENING - timedelta(minutes=45)
NOT_TRADED = "alpaca_paper: not tradable"
NOT_LENT = "alpaca_paper: not shortable or hard to borrow"


@pytest.fixture
def account(db: None, settings: Any, tmp_path: Any) -> Account:
    settings.LAKE_DIR = tmp_path / "lake"
    make_instrument("AAPL")
    state = ClockState(kind="replay", start_at=MORNING, speed=Decimal(1), anchor_at=WALL_NOW)
    opened = open_account(
        name="alpaca_paper",
        mode=Account.Mode.ALPACA_PAPER,
        kind=Account.Kind.DESK,
        feed=follow_clock(name="alpaca_paper", state=state, wall_now=WALL_NOW),
        starting_cash=Decimal(100_000),
        wall_now=WALL_NOW,
    )
    Account.objects.filter(pk=opened.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    kill_switch.install(operator="test", now=WALL_NOW)
    make_strategy()
    allow()
    make_quote(opened.feed, at=MORNING)
    return Account.objects.select_related("feed").get(pk=opened.pk)


@pytest.fixture
def emulator(settings: Any) -> Iterator[RunningEmulator]:
    with emulator_at(MORNING) as running:
        settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = running.keys.key_id, running.keys.secret
        settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL = running.url, running.stream_url
        registry._line_of.cache_clear()
        yield running
        registry._line_of.cache_clear()


def lists(emulator: RunningEmulator, symbol: str = "AAPL", **fields: Any) -> None:
    steered = emulator.venue.state.market.steered
    emulator.call(lambda: steered.add_listing(Listing(symbol=symbol, **fields)))


def refresh(account: Account) -> list[str]:
    return [
        f"{change.symbol} {change.permission} {change.denied_by}".strip()
        for change in refresh_assets(account=account, wall_now=WALL_NOW)
    ]


def due(account: Account, wall_now: Any = WALL_NOW) -> bool:
    return "read_assets" in [item.task for item in due_work(account=account, wall_now=wall_now)]


def denials(account: Account, **fields: Any) -> list[str]:
    intent = make_intent(order_type="limit", limit_price=Decimal(100), **fields)
    return [str(each.code) for each in submit_order(intent=intent, account=account, wall_now=WALL_NOW).denials]


def test_what_the_broker_no_longer_trades_is_denied_here_until_it_trades_again(
    account: Account, emulator: RunningEmulator
) -> None:
    """Edge case 25, before the broker has to refuse it."""
    lists(emulator, tradable=False)
    assert refresh(account) == [f"AAPL tradable {NOT_TRADED}"]
    assert denials(account) == ["NOT_TRADABLE"]
    lists(emulator)
    assert refresh(account) == ["AAPL tradable"]
    assert denials(account) == []


def test_what_cannot_be_borrowed_is_not_sold_short(account: Account, emulator: RunningEmulator) -> None:
    """Edge case 24."""
    lists(emulator, shortable=False)
    assert refresh(account) == [f"AAPL shortable {NOT_LENT}"]
    assert denials(account, side=Side.SELL) == ["NOT_SHORTABLE"]


def test_an_account_that_may_not_short_sells_nothing_short(account: Account, emulator: RunningEmulator) -> None:
    """Edge case 24: the account's configuration; names that come later are denied with the next look."""
    emulator.call(lambda: setattr(emulator.venue.state.flags, "no_shorting", True))
    assert refresh(account) == ["AAPL shortable alpaca_paper: no_shorting is set in the account"]
    assert denials(account, side=Side.SELL) == ["NOT_SHORTABLE"]
    emulator.call(lambda: setattr(emulator.venue.state.flags, "no_shorting", False))
    assert refresh(account) == ["AAPL shortable"]


def test_what_a_person_switched_off_stays_off(account: Account, emulator: RunningEmulator) -> None:
    Instrument.objects.update(tradable=False)
    assert symbols_of_interest(account) == []
    assert refresh(account) == []
    assert not Instrument.objects.get(symbol="AAPL").tradable


def test_open_orders_and_names_that_the_broker_took_are_asked_for_too(account: Account) -> None:
    for symbol in ("IBM", "MSFT", "XOM"):
        make_instrument(symbol)
    make_order(account, order_type="limit", limit_price=Decimal(100))
    Instrument.objects.update(tradable=False)
    Instrument.objects.filter(symbol="MSFT").update(tradable_denied_by=f"{NOT_TRADED} (inactive)")
    Instrument.objects.filter(symbol="XOM").update(tradable=True)
    assert symbols_of_interest(account) == ["AAPL", "MSFT", "XOM"]


def test_it_is_read_once_for_each_open_by_a_task_of_the_worker(
    account: Account, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert due(account)
    monkeypatch.setattr("trading.tasks.wall_now", lambda: WALL_NOW)
    assert TASKS["read_assets"] is read_assets
    assert read_assets(account.pk) == "0 permissions changed"
    assert BrokerLink.objects.get(account=account).assets_for == DAY
    assert not due(account, WALL_NOW + TRY_AGAIN_AFTER)
    assert assets_are_due(account=account, market_at=MORNING + timedelta(days=1), wall_now=WALL_NOW)


def test_it_is_read_in_the_hour_before_the_open_only(account: Account) -> None:
    moments = {
        minutes: assets_are_due(account=account, market_at=OPENING - timedelta(minutes=minutes), wall_now=WALL_NOW)
        for minutes in (90, 56, 55, 3, 2, -10)
    }
    assert moments == {90: False, 56: False, 55: True, 3: True, 2: False, -10: False}


def test_a_desk_of_its_own_exchange_asks_nobody(account: Account) -> None:
    own = open_account(
        name="paper",
        mode=Account.Mode.PAPER,
        kind=Account.Kind.DESK,
        feed=Feed.objects.get(pk=account.feed_id),
        starting_cash=Decimal(1),
        wall_now=WALL_NOW,
    )
    assert not due(Account.objects.select_related("feed").get(pk=own.pk))


@pytest.mark.parametrize("path", ["/v2/assets/AAPL", "/v2/account/configurations", "/v2/account"])
def test_a_broker_that_does_not_answer_changes_nothing_and_it_is_said(
    account: Account, emulator: RunningEmulator, path: str
) -> None:
    lists(emulator, tradable=False)
    emulator.faults.add(Fault(kind=FaultKind.REFUSE_500, match={"method": "GET", "path": path}, times=1))
    with pytest.raises(BrokerError):
        refresh(account)
    assert Instrument.objects.get(symbol="AAPL").tradable
    link = link_of(account)
    assert (link.assets_for, link.assets_tried_at) == (None, WALL_NOW)
    assert "500" in link.assets_problem
    assert not due(account)
    assert due(account, WALL_NOW + TRY_AGAIN_AFTER)
    assert refresh(account) == [f"AAPL tradable {NOT_TRADED}"]
    assert link_of(account).assets_problem == ""


def test_a_desk_without_keys_changes_nothing_and_it_is_said(account: Account, settings: Any) -> None:
    settings.ALPACA_API_KEY_ID = ""
    with pytest.raises(BrokerError):
        refresh(account)
    assert "ALPACA_API_KEY_ID" in link_of(account).assets_problem


def test_a_large_universe_is_three_requests(account: Account, emulator: RunningEmulator) -> None:
    for number in range(MOST_ONE_BY_ONE):
        make_instrument(f"N{number}")
        lists(emulator, f"N{number}", active=number != 7)
    before = sum(emulator.surface.requests.values())
    assert refresh(account) == [f"N7 tradable {NOT_TRADED} (not in the broker's list)", f"N7 shortable {NOT_LENT}"]
    assert sum(emulator.surface.requests.values()) == before + 3
