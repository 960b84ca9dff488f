"""The portfolio measured by the lake's bars, and what people are told of it."""

from datetime import date, timedelta

import pytest

from execution.models import Position
from marketdata.models import Instrument
from risk.correlations import alike, alike_pairs
from risk.models import Alert, Correlation
from risk.portfolio import Confidence
from tests.factories import WALL_NOW, D, allow, make_account, make_feed
from trading.duties import DUTIES
from trading.services.portfolio_risk import market_names, measure_correlations, portfolio_risk
from trading.services.portfolio_watch import look_at_portfolio, var_pct
from trading.services.risk_watch import read_view
from trading.tasks import TASKS, watch_portfolio

pytestmark = pytest.mark.usefixtures("market")
LAST = date(2012, 6, 13)


@pytest.fixture
def account(market):
    account = make_account(feed=make_feed(), starting_cash=D(100_000))
    hold(account, "AAPL", 100, 570)
    hold(account, "IBM", -100, 199)
    return account


def hold(account, symbol, quantity, price):
    from execution.models import Strategy

    Position.objects.create(
        account=account,
        strategy=Strategy.objects.get(name="manual"),
        instrument=Instrument.objects.get(symbol=symbol),
        quantity=D(quantity),
        cost_basis=D(quantity * price),
        current_price=D(price),
        current_price_at=account.feed.market_now(WALL_NOW),
    )


def test_the_portfolio_is_measured_by_bars_up_to_the_session_before(account):
    found = portfolio_risk(account=account, wall_now=WALL_NOW)
    assert found.as_of == LAST
    assert found.sessions == 250
    assert (found.unmeasured, found.covered) == ((), 1)
    assert [tail.confidence for tail in found.tails] == list(Confidence)
    p95, p99 = found.tails
    assert 0 < p95.historical_var < p99.historical_var
    assert p95.historical_var < p95.historical_shortfall
    assert {one.name for one in found.stress} >= {"market_minus_10", "volatility_doubles", "worst_day_1"}
    assert found.market.startswith("equally weighted mean of")
    assert "FB" in market_names()[1]  # which was listed a month ago: the market of before is the mean of the others
    assert set(found.betas) == {"AAPL", "IBM"}
    assert found.portfolio_beta is not None


def test_sectors_are_those_of_the_instruments(account):
    Instrument.objects.filter(symbol="AAPL").update(sector="hardware")
    Instrument.objects.filter(symbol="IBM").update(sector="")
    found = portfolio_risk(account=account, wall_now=WALL_NOW)
    assert {part.name for part in found.by_sector} == {"hardware", "no sector"}
    assert {part.name for part in found.by_side} == {"long", "short"}


def test_correlations_are_measured_once_a_session(account):
    assert measure_correlations(account=account, wall_now=WALL_NOW) >= 1
    pair = Correlation.objects.get(symbol="AAPL", other="IBM")
    assert (pair.as_of, pair.sessions) == (LAST, 250)
    assert 0 < pair.coefficient < 1
    assert measure_correlations(account=account, wall_now=WALL_NOW + timedelta(hours=1)) == 0
    assert alike("IBM", ["AAPL", "IBM"], above_pct=D(1)) == [("AAPL", pair.coefficient)]
    assert alike("IBM", ["AAPL"], above_pct=D(99)) == []
    assert alike("NEVER", ["AAPL"], above_pct=D(1)) == []
    assert alike_pairs(["IBM", "AAPL"], above_pct=D(1)) == [pair]


def test_people_are_told_of_a_portfolio_that_may_lose_too_much_and_of_names_that_are_one_bet(account):
    allow(max_var_pct="0.1", max_correlation_pct=1)
    for _ in range(2):
        found = look_at_portfolio(account=account, wall_now=WALL_NOW)
    view = read_view(account=account, wall_now=WALL_NOW)
    assert var_pct(found, view.equity) > D("0.1")
    told = dict(Alert.objects.values_list("code", "state"))
    assert told == {"value_at_risk": "open", "correlated_names": "open"}
    allow(max_var_pct=100, max_correlation_pct=100)
    look_at_portfolio(account=account, wall_now=WALL_NOW)
    assert set(Alert.objects.values_list("state", flat=True)) == {"resolved"}


def test_a_pair_that_is_held_no_longer_is_over(account):
    allow(max_correlation_pct=1)
    look_at_portfolio(account=account, wall_now=WALL_NOW)
    Position.objects.filter(instrument__symbol="IBM").update(quantity=0, cost_basis=0)
    look_at_portfolio(account=account, wall_now=WALL_NOW)
    assert Alert.objects.get(code="correlated_names").state == "resolved"


def test_an_account_that_holds_nothing_has_an_answer(market):
    account = make_account()
    found = portfolio_risk(account=account, wall_now=WALL_NOW)
    assert (found.tails, found.by_name) == ((), [])
    assert var_pct(found, D(1)) is None


def test_the_worker_looks_when_the_clock_asks(account):
    assert "watch_portfolio" in TASKS
    assert {"portfolio", "risk_watch"} <= {duty.name for duty in DUTIES}
    assert watch_portfolio(account.pk) == "250 sessions, 2 names"
