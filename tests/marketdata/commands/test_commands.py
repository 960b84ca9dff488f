import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketdata.lake import BarLake
from marketdata.models import CorporateAction, QuarantinedBar
from marketdata.services.feeds import create_manual_feed
from tests.marketdata.factories import NOON, make_feed

pytestmark = pytest.mark.django_db
REASON = "checked against another source"
HEADER = "symbol,date,open,high,low,close,volume"


def run(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*(str(argument) for argument in arguments), stdout=out, **options)
    return out.getvalue()


def test_import_sample_says_what_is_new_and_then_that_nothing_is(lake: BarLake) -> None:
    first = run("import_sample")
    assert "12154 bars read, 12153 new" in first
    assert "95 corporate actions new" in first
    assert "sample: already there (12154 bars); 1 kept out" in run("import_sample")


def test_import_sample_answers_in_json(lake: BarLake) -> None:
    answer = json.loads(run("import_sample", "--symbols", "FB", "--json"))
    assert (answer["inserted"], answer["kept_out"], answer["new_actions"]) == (196, 0, 0)
    with pytest.raises(CommandError, match="XX not in the sample"):
        run("import_sample", "--symbols", "XX")


def test_import_bars_reads_files_and_reports_gaps(lake: BarLake, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\nX,2012-06-14,1,1,1,1,5\nX,2012-06-18,1,1,1,1,5\n")
    text = run("import_bars", path, "--source", "desk")
    assert "2 bars read, 2 new" in text
    assert "1 sessions missing: X 2012-06-15" in text
    answer = json.loads(run("import_bars", path, "--source", "desk", "--json"))
    assert answer[0]["unchanged"] == 2
    assert answer[0]["gaps"] == [["X", "2012-06-15"]]


def test_import_bars_derives_actions_where_adjusted_closes_are_there(lake: BarLake, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER},adj_close\nX,2012-06-14,10,10,10,10,5,5\nX,2012-06-15,5,5,5,5,5,5\n")
    assert "2 new" in run("import_bars", path, "--derive-actions")
    assert CorporateAction.objects.get().ratio == 2
    plain = tmp_path / "plain.csv"
    plain.write_text(f"{HEADER}\nX,2012-06-14,10,10,10,10,5\n")
    with pytest.raises(CommandError, match="adj_close"):
        run("import_bars", plain, "--derive-actions")


def test_import_bars_names_what_is_wrong_in_one_line(lake: BarLake, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\nX,2012-06-14,x,1,1,1,5\n")
    with pytest.raises(CommandError, match="line 2: column open: 'x' is not allowed; a number is"):
        run("import_bars", path)


def test_quarantine_lists_releases_and_rejects(lake: BarLake) -> None:
    run("import_sample", "--symbols", "AAPL")
    kept = json.loads(run("quarantine", "list", "--symbol", "AAPL", "--json"))
    assert [(bar["date"], bar["rule"]) for bar in kept] == [("2000-09-29", "outlier_return")]
    assert "return -51.9%, 30% allowed" in run("quarantine", "list")
    number = kept[0]["id"]
    assert "released" in run("quarantine", "release", number, "--operator", "kim", "--reason", REASON)
    assert json.loads(run("quarantine", "list", "--json")) == []
    with pytest.raises(CommandError, match="decided by kim"):
        run("quarantine", "reject", number, "--operator", "lee", "--reason", REASON)
    assert json.loads(run("quarantine", "list", "--status", "all", "--json"))[0]["decided_by"] == "kim"


def test_quarantine_refuses_a_short_reason_and_an_unknown_bar(lake: BarLake) -> None:
    run("import_sample", "--symbols", "AAPL")
    number = QuarantinedBar.objects.get().pk
    with pytest.raises(CommandError, match="10 to 500 characters"):
        run("quarantine", "reject", number, "--operator", "kim", "--reason", "no")
    with pytest.raises(CommandError, match="no quarantined bar 0"):
        run("quarantine", "reject", 0, "--operator", "kim", "--reason", REASON)
    answer = json.loads(run("quarantine", "reject", number, "--operator", "kim", "--reason", REASON, "--json"))
    assert answer[0]["status"] == "rejected"


def test_check_freshness_answers_with_its_exit_code(lake: BarLake) -> None:
    run("import_sample", "--symbols", "FB", "AAPL")
    assert "2 of 2 symbols fresh" in run("check_freshness", "--at", "2013-03-04T14:00:00Z")
    with pytest.raises(SystemExit) as caught:
        run("check_freshness", "--at", "2013-03-04T16:00:00Z", "--symbols", "AAPL", "ZZ")
    assert caught.value.code == 3
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_freshness", "--at", "2013-03-04T16:00:00Z", "--json", stdout=out)
    assert json.loads(out.getvalue())["stale_symbols"] == {"AAPL": 5400, "FB": 5400}


def test_check_freshness_takes_the_desks_clock_and_only_bars_of_its_past(lake: BarLake) -> None:
    run("import_sample", "--symbols", "AAPL")
    with pytest.raises(CommandError, match="no feed 'main'"):
        run("check_freshness")
    create_manual_feed(name="main", market_at=NOON)
    assert "1 of 1 symbols fresh" in run("check_freshness", "--max-age-minutes", "150")
    with pytest.raises(SystemExit):
        run("check_freshness", "--max-age-minutes", "149")


def test_check_freshness_of_a_live_desk_finds_old_bars_stale(lake: BarLake) -> None:
    run("import_sample", "--symbols", "AAPL")
    make_feed("main", kind="real", market_at=None)
    with pytest.raises(SystemExit):
        run("check_freshness")


@pytest.mark.parametrize("at", ["yesterday", "2012-06-14T13:05:00"])
def test_check_freshness_refuses_a_time_without_offset(lake: BarLake, at: str) -> None:
    with pytest.raises(CommandError, match="a time with an offset"):
        run("check_freshness", "--at", at)


def test_import_bars_of_files_can_be_cut_to_symbols_and_dates(lake: BarLake, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    rows = [f"{symbol},2012-06-{day},1,1,1,1,5" for symbol in ("X", "Y") for day in (13, 14, 15)]
    path.write_text("\n".join([HEADER, *rows]))
    run("import_bars", path, "--symbols", "Y", "--from", "2012-06-14", "--to", "2012-06-14")
    assert lake.scan().collect().select("symbol", "date").rows() == [("Y", date(2012, 6, 14))]
    with pytest.raises(CommandError, match="no bar in it is of those symbols and dates"):
        run("import_bars", path, "--symbols", "NONE")
    with pytest.raises(CommandError, match="--to 2012-06-13 is not allowed: a date from --from 2012-06-14 on is"):
        run("import_bars", path, "--from", "2012-06-14", "--to", "2012-06-13")


def test_import_bars_reads_what_can_be_read_of_many_files_and_fails_with_the_rest(
    lake: BarLake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, gone = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "gone.csv"
    good.write_text(f"{HEADER}\nX,2012-06-14,1,1,1,1,5\n")
    bad.write_text(f"{HEADER}\nX,2012-06-14,one,1,1,1,5\n")
    with pytest.raises(CommandError) as error:
        call_command("import_bars", str(bad), str(gone), str(good), "--json")
    assert "2 of 3 files were not imported" in str(error.value)
    assert "line 2: column open: 'one'" in str(error.value)
    answers = json.loads(capsys.readouterr().out)
    assert [("error" in answer, answer.get("inserted")) for answer in answers] == [
        (True, None),
        (True, None),
        (False, 1),
    ]


def test_import_bars_says_what_is_missing_in_the_wish(lake: BarLake, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="name files, or --source alpaca"):
        run("import_bars")
    with pytest.raises(CommandError, match="needs --symbols and --from"):
        run("import_bars", "--source", "alpaca", "--symbols", "IBM")
    with pytest.raises(CommandError, match="ALPACA_API_KEY_ID"):
        run("import_bars", "--source", "alpaca", "--symbols", "IBM", "--from", "2012-01-03")
    with pytest.raises(CommandError, match="--again is for --source alpaca"):
        run("import_bars", tmp_path / "x.csv", "--again")
