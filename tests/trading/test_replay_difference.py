"""A replay beside a backtest: the amounts of the causes add up to the difference, whatever the books did."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import calendar
from marketdata.clock import wall_now
from signals.services.backtests import perform_backtest, plan_backtest
from tests.trading.days import parameters
from trading.replay_difference import Cause, Desk, Market, Plan, Research, Wanted, explain, totals
from trading.services.replay import replay_range
from trading.services.replay_comparison import NotComparableError, comparable_replays, compare_with_replay
from trading.targets import Outcome

D = Decimal
ZERO = D(0)
CAPITAL = D(100_000)
SYMBOLS = ("A", "B")
DAYS = calendar.sessions_between(date(2012, 1, 3), date(2012, 1, 12))


class World:
    """Two random books over the same prices, kept by plain accounting that knows nothing of causes."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.close = dict.fromkeys(SYMBOLS, D(50))
        self.shares = dict.fromkeys(SYMBOLS, ZERO)
        self.values = dict.fromkeys(SYMBOLS, ZERO)
        self.equity = CAPITAL

    def pick(self, low: int, high: int, scale: str = "1") -> Decimal:
        return self.random.randint(low, high) * D(scale)

    def session(self) -> tuple[Desk, Research, Mapping[str, Market]]:
        before, market = dict(self.close), {}
        cash = {symbol: self.pick(0, 2) if self.random.random() < 0.3 else ZERO for symbol in SYMBOLS}
        for symbol in SYMBOLS:
            self.close[symbol] = before[symbol] * (1 + self.pick(-80, 80, "0.001"))
            price = self.close[symbol] / before[symbol] - 1
            total = self.close[symbol] / (before[symbol] - cash[symbol]) - 1 if cash[symbol] else price
            market[symbol] = Market(self.close[symbol], total, price)
        return self._desk(before, cash), self._research(market), market

    def _desk(self, before: Mapping[str, Decimal], cash: Mapping[str, Decimal]) -> Desk:
        earned = sum(self.shares[s] * (self.close[s] - before[s] + cash[s]) for s in SYMBOLS)
        dividends = sum(self.shares[s] * cash[s] for s in SYMBOLS)
        fills, wanted, fees = [], {}, self.pick(0, 5)
        plans = self.random.random() < 0.5
        for symbol in SYMBOLS:
            if plans and self.random.random() < 0.8:
                target = self.pick(-500, 500)
                wanted[symbol] = Wanted(
                    self.pick(-500, 500, "0.001"), target, before[symbol], self.random.choice(list(Outcome)),
                    self.random.random() < 0.3,
                )  # fmt: skip
            if plans and self.random.random() < 0.7:
                quantity, price = self.pick(-300, 300), before[symbol] + self.pick(-1, 1)
                fills.append((symbol, quantity, price))
                self.shares[symbol] += quantity
                earned += quantity * (self.close[symbol] - price)
        plan = Plan(self.pick(90_000, 110_000), D("0.02"), wanted) if plans else None
        shares = {symbol: held for symbol, held in self.shares.items() if held}
        return Desk(pnl=earned - fees, fees=fees, dividends=dividends, shares=shares, fills=fills, plan=plan)

    def _research(self, market: Mapping[str, Market]) -> Research:
        earned = sum(self.values[s] * market[s].total_return for s in SYMBOLS)
        self.values = {s: self.values[s] * (1 + market[s].total_return) for s in SYMBOLS}
        weights, won, costs = None, ZERO, self.pick(0, 9)
        if self.random.random() < 0.5:
            weights = {s: self.pick(-500, 500, "0.001") for s in SYMBOLS}
            self.values = {s: weights[s] * self.equity + self.pick(-5, 5) for s in SYMBOLS}
            won = self.pick(-20, 20)
        self.equity += earned + won - costs
        return Research(
            pnl=earned + won - costs, costs=costs, equity=self.equity, values=self.values, fills=won, weights=weights
        )


@given(seed=st.integers(0, 100_000))
def test_causes_add_up_to_the_difference_of_any_two_books(seed: int) -> None:
    world = World(seed)
    desk, research, market = {}, {}, {}
    for day in DAYS:
        desk[day], research[day], market[day] = world.session()
    found = explain(DAYS, desk, research, market, capital=CAPITAL)
    for session in found:
        assert abs(session.residual) < D("1e-15")
        assert session.difference == desk[session.day].pnl - research[session.day].pnl
    assert sum(totals(found).values()) == pytest.approx(sum(one.difference for one in found))


def two_days(
    wanted: Wanted, shares: Decimal, weight: Decimal | None, value: Decimal, *, capital: Decimal = CAPITAL
) -> dict[Cause, Decimal]:
    """Return the causes of the second day's difference: A was planned at 100 on the first and rises by 10% on the
    second."""
    first, second = DAYS[:2]
    plan = Plan(capital, D("0.02"), {"A": wanted})
    held = {"A": shares} if shares else {}
    fills = [("A", shares, D(100))] if shares else []
    desk = {
        first: Desk(pnl=ZERO, fees=ZERO, dividends=ZERO, shares=held, fills=fills, plan=plan),
        second: Desk(pnl=shares * 10, fees=ZERO, dividends=ZERO, shares=held, fills=[]),
    }
    weights = None if weight is None else {"A": weight}
    research = {
        first: Research(pnl=ZERO, costs=ZERO, equity=CAPITAL, values={"A": value}, weights=weights),
        second: Research(pnl=value / 10, costs=ZERO, equity=CAPITAL + value / 10, values={"A": value * D("1.1")}),
    }
    market = {first: {"A": Market(D(100), ZERO, ZERO)}, second: {"A": Market(D(110), D("0.1"), D("0.1"))}}
    found = explain([first, second], desk, research, market, capital=CAPITAL)
    assert found[1].residual == 0
    return {cause: amount for cause, amount in found[1].amounts.items() if amount}


def test_buffer_and_whole_shares_by_hand() -> None:
    """Half of 100,000 at 100: 500 shares, 490 with the buffer, 489 were bought (the target's own rounding)."""
    wanted = Wanted(D("0.5"), D(489), D(100), Outcome.TRADE)
    found = two_days(wanted, D(489), D("0.5"), D(50_000))
    assert found == {Cause.BUFFER: D(-100), Cause.CAPPED: D(-10)}
    near = Wanted(D("0.333333"), D(326), D(100), Outcome.TRADE)
    amounts = two_days(near, D(326), D("0.333333"), D("33333.3"))
    assert set(amounts) == {Cause.BUFFER, Cause.ROUNDING}


def test_a_denied_order_is_what_is_missing_to_the_target() -> None:
    wanted = Wanted(D("0.5"), D(490), D(100), Outcome.TRADE, denied=True)
    assert two_days(wanted, ZERO, D("0.5"), D(50_000)) == {Cause.BUFFER: D(-100), Cause.DENIED: D(-4_900)}


def test_a_small_trade_and_an_unfilled_one_have_names_of_their_own() -> None:
    small = Wanted(D("0.5"), D(490), D(100), Outcome.BELOW_MINIMUM)
    assert two_days(small, D(485), D("0.5"), D(50_000))[Cause.SMALL] == D(-50)
    unfilled = Wanted(D("0.5"), D(490), D(100), Outcome.TRADE)
    assert two_days(unfilled, D(400), D("0.5"), D(50_000))[Cause.UNFILLED] == D(-900)


def test_another_weight_and_another_capital() -> None:
    wanted = Wanted(D("0.5"), D(490), D(100), Outcome.TRADE)
    assert two_days(wanted, D(490), D("0.4"), D(40_000)) == {Cause.SIGNAL: D(1_000), Cause.BUFFER: D(-100)}
    larger = Wanted(D("0.5"), D(539), D(100), Outcome.TRADE)
    amounts = two_days(larger, D(539), D("0.5"), D(50_000), capital=D(110_000))
    assert amounts == {Cause.CAPITAL: D(500), Cause.BUFFER: D(-110)}


@pytest.mark.usefixtures("desk")
def test_a_real_replay_is_explained_to_the_last_cent(settings: Any, tmp_path: Path) -> None:
    settings.BACKTEST_DIR = tmp_path
    start, end = date(2012, 1, 3), date(2012, 1, 20)
    asked = parameters(start, end)
    row = replay_range(parameters=asked, wall_clock=wall_now)
    wish = {"strategy": "mean_reversion", "start": start.isoformat(), "end": end.isoformat(), "draws": 0}
    wish["symbols"] = list(asked.symbols)
    tested = plan_backtest(kind="backtest", parameters=wish, asked_by="ann", wall_now=wall_now())
    perform_backtest(backtest=tested, models=None, clock=wall_now)
    assert comparable_replays(tested) == [row]
    found = compare_with_replay(tested, row)
    assert len(found.sessions) == 13
    assert max(abs(one.residual) for one in found.sessions) < D("0.005")
    assert all(not one.other_weights for one in found.sessions if one.same_weights is not None)
    later = plan_backtest(
        kind="backtest", parameters=wish | {"start": "2012-01-05"}, asked_by="ann", wall_now=wall_now()
    )
    perform_backtest(backtest=later, models=None, clock=wall_now)
    assert comparable_replays(later) == []
    with pytest.raises(NotComparableError, match="begin on the same session"):
        compare_with_replay(later, row)
