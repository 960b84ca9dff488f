from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import perf_counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.calendar import session_close, session_open, sessions_between
from marketdata.lake import BarLake, bar_schema
from marketdata.providers.replay import SOURCE, DayBar, ReplayProvider, minute_path
from marketdata.providers.sample import SampleProvider
from marketdata.services.quotes import quote_problem

DAY = date(2012, 6, 14)
OPEN, CLOSE = session_open(DAY), session_close(DAY)


@pytest.fixture
def full(lake: BarLake, sample: pl.DataFrame) -> BarLake:
    lake.write(sample, "1d", "sample")
    return lake


def last(provider: ReplayProvider, at: datetime, symbol: str = "AAPL") -> Decimal:
    price = next(quote.last for quote in provider.quotes_at(at) if quote.symbol == symbol)
    assert price is not None
    return price


def test_prints_are_the_bars_own_open_and_close_to_the_last_decimal(full: BarLake, sample: pl.DataFrame) -> None:
    provider = ReplayProvider(full)
    day = date(2012, 11, 6)
    row = sample.row(by_predicate=(pl.col("symbol") == "AAPL") & (pl.col("date") == day), named=True)
    assert provider.opening_prints(day)["AAPL"] == (Decimal(repr(row["open"])), Decimal(row["volume"]))
    assert provider.closing_prints(day)["AAPL"][0] == Decimal("582.8495")


def test_a_day_without_bars_has_no_prints(full: BarLake) -> None:
    assert ReplayProvider(full).opening_prints(date(2012, 6, 16)) == {}
    assert set(ReplayProvider(full).opening_prints(date(2012, 5, 17))) == {"AAPL", "GOOG", "IBM", "MSFT"}


def test_the_path_goes_from_open_to_close_and_touches_high_and_low(full: BarLake) -> None:
    provider = ReplayProvider(full)
    bar = provider.bars_on(DAY)["AAPL"]
    prices = [last(provider, OPEN + timedelta(minutes=minute)) for minute in range(391)]
    cents = Decimal("0.01")
    assert prices[0] == bar.open.quantize(cents)
    assert prices[-1] == bar.close.quantize(cents)
    assert max(prices) == bar.high.quantize(cents)
    assert min(prices) == bar.low.quantize(cents)


def test_the_same_seed_gives_the_same_path_in_any_order_of_asking(full: BarLake) -> None:
    instants = [OPEN + timedelta(minutes=minute, seconds=17) for minute in (200, 3, 388)]
    forth = [ReplayProvider(full).quotes_at(at) for at in instants]
    back = ReplayProvider(full)
    assert [back.quotes_at(at) for at in reversed(instants)] == forth[::-1]
    assert ReplayProvider(full, seed=8).quotes_at(instants[0]) != forth[0]


def test_outside_sessions_the_last_close_stays_with_its_own_time(full: BarLake) -> None:
    provider = ReplayProvider(full)
    after, night = provider.quotes_at(CLOSE + timedelta(minutes=3)), provider.quotes_at(OPEN + timedelta(hours=20))
    assert after == night
    assert {quote.at for quote in after} == {CLOSE}
    before = provider.quotes_at(OPEN - timedelta(minutes=1))
    assert {quote.at for quote in before} == {session_close(date(2012, 6, 13))}


def test_a_half_day_ends_at_its_early_close(full: BarLake) -> None:
    provider = ReplayProvider(full)
    day = date(2012, 11, 23)
    close = provider.bars_on(day)["IBM"].close
    assert last(provider, datetime(2012, 11, 23, 18, tzinfo=UTC), "IBM") == close.quantize(Decimal("0.01"))


def test_quotes_can_be_stored_and_say_that_they_are_synthetic(full: BarLake) -> None:
    provider = ReplayProvider(full)
    for day in sessions_between(date(2012, 6, 1), date(2012, 6, 29)):
        for quote in provider.quotes_at(session_open(day) + timedelta(minutes=61)):
            assert quote_problem(quote) is None
            assert quote.source == SOURCE
            assert quote.bid is not None
            assert quote.ask is not None
            assert quote.last is not None
            assert quote.bid < quote.last < quote.ask
            assert quote.last == quote.last.quantize(Decimal("0.01"))


def test_only_the_wanted_symbols_are_played(full: BarLake) -> None:
    assert [quote.symbol for quote in ReplayProvider(full, ["IBM", "FB"]).quotes_at(OPEN)] == ["FB", "IBM"]


def test_a_write_to_the_lake_is_followed(full: BarLake) -> None:
    provider = ReplayProvider(full)
    assert "NEW" not in provider.opening_prints(DAY)
    row = ("NEW", DAY, 5.0, 6.0, 4.0, 5.5, 10.0)
    full.write(pl.DataFrame([row], schema=bar_schema(), orient="row"), "1d", "test")
    assert provider.opening_prints(DAY)["NEW"] == (Decimal("5.0"), Decimal("10.0"))


def test_prints_of_a_day_take_microseconds_once_loaded(full: BarLake) -> None:
    provider = ReplayProvider(full)
    provider.opening_prints(DAY)
    times = []
    for _ in range(20):
        started = perf_counter()
        provider.opening_prints(DAY)
        times.append(perf_counter() - started)
    assert min(times) < 500e-6


PRICES = st.floats(0.5, 2000).map(lambda price: round(price, 2))


@given(PRICES, PRICES, PRICES, PRICES, st.sampled_from([210, 390]), st.text(max_size=5))
def test_a_path_stays_inside_its_bar_and_touches_all_four_prices(
    a: float, b: float, c: float, d: float, minutes: int, seed: str
) -> None:
    low, opening, closing, high = sorted((a, b, c, d))
    exact = [Decimal(repr(price)) for price in (opening, high, low, closing)]
    bar = DayBar("X", exact[0], exact[1], exact[2], exact[3], Decimal(1))
    path = minute_path(bar, minutes, seed)
    assert len(path) == minutes + 1
    assert (path[0], path[-1]) == (opening, closing)
    assert (min(path), max(path)) == (low, high)


def test_the_sample_can_be_cut(sample: pl.DataFrame) -> None:
    part = SampleProvider().bars(["IBM"], date(2012, 6, 14), date(2012, 6, 15))
    assert part["date"].to_list() == [date(2012, 6, 14), date(2012, 6, 15)]
    assert sample.height == 12_154
