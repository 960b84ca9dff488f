from datetime import date
from time import perf_counter

import pytest

from marketdata.errors import MarketDataError
from marketdata.lake import BarLake
from marketdata.models import CorporateAction, Instrument, QuarantinedBar
from marketdata.services.quarantine import release_bar
from marketdata.services.sample import import_sample
from tests.marketdata.factories import WALL

pytestmark = pytest.mark.django_db


def test_the_sample_comes_in_with_everything_a_desk_needs(lake: BarLake) -> None:
    report = import_sample(wall_now=WALL)
    assert (report.bars.rows, report.bars.written.inserted, report.bars.gaps) == (12_154, 12_153, [])
    assert CorporateAction.objects.count() == report.new_actions == 95
    assert Instrument.objects.count() == 5
    apple = Instrument.objects.get(symbol="AAPL")
    assert (apple.name, apple.adv_as_of) == ("Apple Inc.", date(2011, 12, 30))
    assert apple.average_daily_volume is not None
    assert apple.average_daily_volume > 1_000_000


def test_md3_apples_fall_of_2000_waits_until_someone_releases_it(lake: BarLake) -> None:
    import_sample(wall_now=WALL, symbols=["AAPL"])
    fall = date(2000, 9, 29)
    assert lake.scan(start=fall, end=fall).collect().is_empty()
    release_bar(bar=QuarantinedBar.objects.get(), operator="kim", reason="the profit warning was real", wall_now=WALL)
    assert lake.scan(start=fall, end=fall).collect()["close"].to_list() == [25.75]


def test_a_second_import_says_so_in_under_two_seconds(lake: BarLake) -> None:
    import_sample(wall_now=WALL)
    started = perf_counter()
    assert not import_sample(wall_now=WALL).changed
    assert perf_counter() - started < 2


def test_an_operators_correction_of_an_action_survives_another_import(lake: BarLake) -> None:
    import_sample(wall_now=WALL, symbols=["AAPL"])
    CorporateAction.objects.filter(ex_date=date(2012, 8, 9)).update(cash_amount="2.65")
    import_sample(wall_now=WALL, symbols=["AAPL"])
    assert str(CorporateAction.objects.get(ex_date=date(2012, 8, 9)).cash_amount) == "2.65000000"


def test_a_symbol_outside_the_sample_is_refused(lake: BarLake) -> None:
    with pytest.raises(MarketDataError, match="XX not in the sample: AAPL, FB"):
        import_sample(wall_now=WALL, symbols=["XX"])


def test_the_samples_names_have_sectors_and_a_persons_word_stays(lake: BarLake) -> None:
    Instrument.objects.create(symbol="IBM", sector="Services")
    import_sample(wall_now=WALL, symbols=["AAPL", "IBM"])
    assert dict(Instrument.objects.values_list("symbol", "sector")) == {
        "AAPL": "Information Technology",
        "IBM": "Services",
    }
