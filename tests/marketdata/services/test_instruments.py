from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from marketdata.calendar import latest_sessions
from marketdata.errors import MarketDataError
from marketdata.lake import BarLake, bar_schema
from marketdata.models import CorporateAction
from marketdata.services.instruments import (
    average_daily_volumes,
    ensure_instrument,
    ensure_instruments,
    refresh_statistics,
)
from tests.marketdata.factories import make_instrument

pytestmark = pytest.mark.django_db
AS_OF = date(2012, 6, 14)


def trade(lake: BarLake, symbol: str, *volumes: float) -> None:
    days = latest_sessions(AS_OF, len(volumes))
    rows = [(symbol, day, 10.0, 10.0, 10.0, 10.0, volume) for day, volume in zip(days, volumes, strict=True)]
    lake.write(pl.DataFrame(rows, schema=bar_schema(), orient="row"), "1d", "test")


def test_an_instrument_is_created_once() -> None:
    first = ensure_instrument(symbol="BRK.B", name="Berkshire")
    assert ensure_instrument(symbol="BRK.B").pk == first.pk
    assert set(ensure_instruments(symbols=["BRK.B", "IBM"])) == {"BRK.B", "IBM"}
    with pytest.raises(MarketDataError, match="'x' is not allowed"):
        ensure_instruments(symbols=["x"])


def test_the_average_is_over_the_last_20_complete_sessions(lake: BarLake) -> None:
    trade(lake, "A", *[10_000.0] * 5, *[100.0] * 10, *[300.0] * 10)
    assert average_daily_volumes(["A"], AS_OF) == {"A": Decimal(200)}


def test_a_session_after_the_date_is_not_in_it(lake: BarLake) -> None:
    trade(lake, "A", *[100.0] * 10, 9_000.0)
    assert average_daily_volumes(["A"], latest_sessions(AS_OF, 2)[0]) == {"A": Decimal(100)}


def test_volume_before_a_split_counts_in_shares_of_today(lake: BarLake) -> None:
    trade(lake, "A", *[100.0] * 10, *[200.0] * 10)
    ex_date = latest_sessions(AS_OF, 10)[0]
    CorporateAction.objects.create(instrument=make_instrument("A"), kind="split", ex_date=ex_date, ratio=2)
    assert average_daily_volumes(["A"], AS_OF) == {"A": Decimal(200)}


def test_a_new_listing_has_no_average_before_its_fifth_session(lake: BarLake) -> None:
    trade(lake, "A", *[100.0] * 4)
    trade(lake, "B", *[100.0] * 5)
    assert list(average_daily_volumes(["A", "B"], AS_OF)) == ["B"]


def test_statistics_are_stored_with_their_date_and_lost_when_there_are_none(lake: BarLake) -> None:
    trade(lake, "A", *[100.0] * 20)
    listed = make_instrument("A")
    gone = make_instrument("B", average_daily_volume=5, adv_as_of=date(2010, 1, 4))
    assert refresh_statistics(symbols=["A", "B"], as_of=AS_OF) == 1
    listed.refresh_from_db()
    gone.refresh_from_db()
    assert (listed.average_daily_volume, listed.adv_as_of) == (Decimal(100), AS_OF)
    assert (gone.average_daily_volume, gone.adv_as_of) == (None, None)
