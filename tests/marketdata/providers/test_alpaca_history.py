"""Bars and actions of the past from an emulated Alpaca: whole, exact, in pages, resumed, in the feed that is open."""

import json
from datetime import UTC, date, datetime
from io import StringIO

import polars as pl
import pytest
from django.core.management import CommandError, call_command

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.server import RunningEmulator
from marketdata.errors import MarketDataError
from marketdata.models import BarImport, CorporateAction, Instrument
from marketdata.providers.alpaca import history
from marketdata.providers.alpaca.history import AlpacaHistory
from marketdata.providers.alpaca.rest import AlpacaDataError, AlpacaRest
from marketdata.providers.sample import SampleProvider
from marketdata.services.history import import_history
from marketdata.types import ActionKind, Timeframe
from tests.marketdata.factories import make_feed
from tests.marketdata.providers.live_cases import data_of

EVENING = datetime(2012, 6, 14, 22, tzinfo=UTC)
FIRST, LAST = date(2012, 5, 1), date(2012, 6, 14)


@pytest.fixture(scope="module")
def emulator():
    with RunningEmulator(market=SampleMarket(), clock=VenueClock.manual(EVENING)) as running:
        yield running


@pytest.fixture(autouse=True)
def well(emulator):
    emulator.faults.clear()


@pytest.fixture
def rest(emulator):
    asking = AlpacaRest(data_of(emulator))
    yield asking
    asking.close()


def provider_of(rest, **options):
    return AlpacaHistory(rest, **{"now": EVENING, "wait": lambda _: None} | options)


def sample_bars(symbols, first=FIRST, last=LAST):
    return (
        SampleProvider().bars(symbols, first, last).select("symbol", "date", "open", "high", "low", "close", "volume")
    )


def test_bars_are_those_of_the_source_to_the_last_digit(rest):
    assert provider_of(rest).bars(["AAPL", "IBM"], FIRST, LAST).equals(sample_bars(["AAPL", "IBM"]))


def test_every_page_is_asked_for(rest, monkeypatch):
    monkeypatch.setattr(history, "ROWS_ON_A_PAGE", 7)
    assert provider_of(rest).bars(["AAPL", "IBM"], FIRST, LAST).equals(sample_bars(["AAPL", "IBM"]))


def test_minutes_are_those_of_regular_trading(rest):
    bars = provider_of(rest, timeframe=Timeframe.MINUTE).bars(["AAPL"], LAST, LAST)
    assert bars.height == 390
    assert bars["at"].min() == datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
    assert bars["at"].max() == datetime(2012, 6, 14, 19, 59, tzinfo=UTC)


def test_actions_have_splits_and_dividends(rest):
    actions = provider_of(rest).actions(["AAPL", "IBM"], date(2005, 1, 1), LAST)
    split = actions.filter(pl.col("kind") == ActionKind.SPLIT).to_dicts()
    assert [(row["symbol"], row["ex_date"], row["ratio"]) for row in split] == [("AAPL", date(2005, 2, 28), 2.0)]
    dividends = actions.filter(pl.col("kind") == ActionKind.DIVIDEND)
    assert dividends.height > 20
    assert dividends["ratio"].null_count() == dividends.height


def test_a_refused_sip_becomes_iex_and_is_said(rest, monkeypatch):
    answer = rest.get

    def without_sip(path, query):
        if query.get("feed") == "sip":
            raise AlpacaDataError("403 subscription does not permit querying recent SIP data", status=403)
        return answer(path, query)

    monkeypatch.setattr(rest, "get", without_sip)
    notices = []
    provider = provider_of(rest, on_notice=notices.append)
    assert provider.bars(["AAPL"], FIRST, LAST).height == 32
    assert provider.name == "alpaca iex"
    assert "feed sip is refused" in notices[0]
    assert len(notices) == 1


@pytest.mark.parametrize("kind", [FaultKind.REFUSE_500, FaultKind.RATE_LIMITED, FaultKind.REFUSE_DROP])
def test_what_may_pass_is_tried_again(rest, emulator, kind):
    emulator.faults.add(Fault(kind=kind, match={"path": "/v2/stocks/bars"}, times=3))
    waits = []
    assert provider_of(rest, wait=waits.append).bars(["AAPL"], FIRST, LAST).height == 32
    assert len(waits) == 3
    assert all(1 <= seconds <= 60 for seconds in waits)


def test_what_does_not_pass_is_an_error_after_five_attempts(rest, emulator):
    emulator.faults.add(Fault(kind=FaultKind.REFUSE_500, match={"path": "/v2/stocks/bars"}, times=None))
    waits = []
    with pytest.raises(MarketDataError, match="500"):
        provider_of(rest, wait=waits.append).bars(["AAPL"], FIRST, LAST)
    assert waits == [1, 2, 4, 8]


def test_refused_keys_are_not_tried_again(emulator):
    rest = AlpacaRest(data_of(emulator, secret="wrong"))
    with pytest.raises(AlpacaDataError, match="401") as refused:
        provider_of(rest, wait=pytest.fail).bars(["AAPL"], FIRST, LAST)
    assert "wrong" not in str(refused.value)
    rest.close()


# into the lake


@pytest.fixture
def desk(db, lake):
    make_feed(market_at=EVENING)


def test_history_goes_through_the_gate_with_its_actions_and_volumes(desk, lake, rest):
    report = import_history(
        provider=provider_of(rest), symbols=["AAPL", "IBM"], first=date(2005, 2, 1), last=date(2005, 3, 31), now=EVENING
    )
    assert (report.bars.kept_out, report.bars.written.inserted, report.bars.gaps) == (0, 82, [])
    assert CorporateAction.objects.filter(kind=ActionKind.SPLIT, source="alpaca sip").exists()
    assert Instrument.objects.get(symbol="AAPL").adv_as_of == date(2005, 3, 31)


def test_what_is_there_is_not_asked_for_again(desk, lake, rest, emulator):
    wanted = {"symbols": ["AAPL"], "first": date(2011, 6, 1), "last": LAST, "now": EVENING}
    import_history(provider=provider_of(rest), **wanted)
    before = emulator.call(lambda: emulator.surface.requests["GET", "/v2/stocks/bars"])
    again = import_history(provider=provider_of(rest), **wanted)
    assert (again.pieces, again.skipped) == (2, 2)
    assert emulator.call(lambda: emulator.surface.requests["GET", "/v2/stocks/bars"]) == before
    forced = import_history(provider=provider_of(rest), again=True, **wanted)
    assert (forced.skipped, forced.bars.written.unchanged) == (0, forced.bars.rows)


def test_an_interrupted_import_goes_on_where_it_stopped(desk, lake, rest, monkeypatch):
    wanted = {"symbols": ["AAPL"], "first": date(2010, 1, 4), "last": LAST, "now": EVENING}
    provider = provider_of(rest)
    whole, asked = provider.bars, []

    def torn(symbols, start, end):
        asked.append(start.year)
        if start.year == 2011 and asked.count(2011) == 1:
            raise AlpacaDataError("no answer")
        return whole(symbols, start, end)

    monkeypatch.setattr(provider, "bars", torn)
    with pytest.raises(MarketDataError):
        import_history(provider=provider, **wanted)
    import_history(provider=provider, **wanted)
    assert asked == [2010, 2011, 2011, 2012]
    assert BarImport.objects.filter(state="running").count() == 0


def test_a_session_that_has_hardly_ended_is_left_for_later(desk, lake, rest):
    now = datetime(2012, 6, 14, 20, 10, tzinfo=UTC)
    report = import_history(
        provider=provider_of(rest, now=now), symbols=["AAPL"], first=date(2012, 6, 13), last=None, now=now
    )
    assert report.bars.rows == 1


# the command


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command("import_bars", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def keys(settings, emulator):
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = emulator.keys.key_id, emulator.keys.secret
    settings.ALPACA_DATA_URL = emulator.url


def test_the_command_imports_and_says_so(desk, lake, keys):
    arguments = ("--source", "alpaca", "--symbols", "AAPL", "IBM", "--from", "2012-05-01")
    out, _ = run(*arguments)
    assert "alpaca sip: 64 bars read, 64 new" in out
    out, _ = run(*arguments)
    assert "already there (0 bars); 1 of 1 pieces were there before" in out
    answer = json.loads(run(*arguments, "--again", "--json")[0])
    assert (answer["unchanged"], answer["pieces_already_there"], answer["notices"]) == (64, 0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to import"),
        (("--source", "alpaca"), "needs --symbols and --from"),
        (("--source", "alpaca", "--symbols", "AAPL", "--from", "2030-01-02"), "nothing to import"),
        (("bars.csv", "--again"), "--again is for --source alpaca only"),
        (("--source", "alpaca", "--symbols", "aapl", "--from", "2012-06-01"), "symbol 'aapl' is not allowed"),
    ],
)
def test_the_command_names_what_is_wrong(desk, lake, keys, arguments, said):
    with pytest.raises(CommandError, match=said):
        run(*arguments)


def test_without_keys_the_command_names_them(desk, settings):
    settings.ALPACA_API_KEY_ID = ""
    with pytest.raises(CommandError, match="ALPACA_API_KEY_ID"):
        run("--source", "alpaca", "--symbols", "AAPL", "--from", "2012-06-01")
