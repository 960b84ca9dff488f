"""The pages of data and SQL."""

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse

from execution.models import Account
from marketdata.calendar import sessions_between
from marketdata.clock import wall_now
from marketdata.lake import bar_schema, default_lake
from marketdata.models import BarImport, Instrument, QuarantinedBar
from ops_console.models import SavedQuery
from ops_console.services.saved_queries import MOST_OF_ONE, SavedQueryRefused, delete_query, save_query
from tests.ops_console.conftest import Visitor
from trading.models import Job
from trading.sql.run import _turn

DAYS = sessions_between(date(2012, 6, 1), date(2012, 6, 14))
ENDLESS = "SELECT sum(a % 7) FROM range(1000000000000) t(a)"


@pytest.fixture(autouse=True)
def lake(settings: Any, tmp_path: Path) -> None:
    settings.LAKE_DIR, settings.VAR_DIR = tmp_path / "lake", tmp_path


def store(symbol: str, days: list[date]) -> None:
    rows = [(symbol, day, 10.0, 11.0, 9.0, 10.0, 100.0) for day in days]
    default_lake().write(pl.DataFrame(rows, schema=bar_schema(), orient="row"), "1d", "test")


def text(response: Any) -> str:
    found: str = response.content.decode()
    return found


# data


def test_an_empty_lake_says_how_to_fill_it(desk: Account, visitor: Visitor) -> None:
    html = text(visitor("viewer").get(reverse("data")))
    assert "The lake is empty" in html
    assert "import_sample" in html
    assert "Nothing was ever imported" in html
    assert "No ticks are stored" in html


def test_each_symbol_shows_range_gaps_and_what_was_kept_out(desk: Account, visitor: Visitor) -> None:
    store("IBM", [*DAYS[:3], *DAYS[4:]])
    store("MSFT", DAYS)
    instrument = Instrument.objects.create(symbol="IBM")
    QuarantinedBar.objects.create(
        instrument=instrument, timeframe="1d", bar_at=datetime(2012, 6, 6, tzinfo=UTC), date=DAYS[3], payload={},
        rule="outlier_return", detail="+50%", source="test", fingerprint="f",
    )  # fmt: skip
    html = text(visitor("viewer").get(reverse("data")))
    assert DAYS[3].isoformat() in html
    assert "status__exact=quarantined&amp;q=IBM" in html
    assert "1 session missing" in html
    only = text(visitor("viewer").get(reverse("data") + "?only=gaps"))
    assert "<b>IBM</b>" in only
    assert "<b>MSFT</b>" not in only
    assert "No symbol matches" in text(visitor("viewer").get(reverse("data") + "?q=ZZ"))


def test_a_symbol_that_is_behind_the_market_is_shown_as_stale(desk: Account, visitor: Visitor) -> None:
    store("IBM", sessions_between(date(2011, 6, 1), date(2011, 6, 14)))
    html = text(visitor("viewer").get(reverse("data") + "?only=stale"))
    assert "sessions behind" in html
    assert "1 not up to date" in html


@pytest.mark.parametrize("query", ["?timeframe=1m", "?timeframe=7y", "?only=none", "?page=99", "?q=%00"])
def test_any_address_of_the_page_answers(desk: Account, visitor: Visitor, query: str) -> None:
    store("IBM", DAYS)
    assert visitor("viewer").get(reverse("data") + query).status_code == 200


def test_an_unfinished_import_says_where_it_goes_on(desk: Account, visitor: Visitor) -> None:
    BarImport.objects.create(
        source="x.csv", timeframe="1d", content_hash="h", rows=9, cursor=2011, started_at=wall_now()
    )
    assert "the same import goes on after 2011" in text(visitor("viewer").get(reverse("data")))


def test_an_import_is_asked_for_by_traders_and_becomes_a_job(desk: Account, visitor: Visitor) -> None:
    wish = {"source": "sample", "symbols": "fb, ibm", "start": "", "file": "", "timeframe": "1d"}
    assert visitor("viewer").post(reverse("data-import"), wish).status_code == 403
    answer = visitor("trader").post(reverse("data-import"), wish)
    job = Job.objects.get()
    assert (job.kind, job.parameters["symbols"], job.asked_by) == ("import", ["FB", "IBM"], "trader")
    assert answer.headers["Location"] == reverse("job", args=[job.pk])


def test_an_import_that_makes_no_sense_is_refused_in_words(desk: Account, visitor: Visitor) -> None:
    answer = visitor("trader").post(
        reverse("data-import"), {"source": "alpaca", "symbols": "IBM"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 400
    assert "symbols, start" in text(answer)
    assert not Job.objects.exists()


# SQL


def test_the_page_shows_tables_and_runs_nothing_before_it_is_asked(desk: Account, visitor: Visitor) -> None:
    html = text(visitor("viewer").get(reverse("sql") + "?q=SELECT+1"))
    assert ">SELECT 1</textarea>" in html
    assert "<h2>Answer</h2>" not in html
    assert "average_fill_price" in html


def test_an_answer_is_a_table_with_its_limits_told(desk: Account, visitor: Visitor) -> None:
    store("IBM", DAYS)
    query = "SELECT symbol, close, NULL AS nothing, '<b>' AS tag FROM bars, range(50)"
    html = text(visitor("viewer").post(reverse("sql-run"), {"q": query, "rows": "100"}))
    assert "100 rows in" in html
    assert "only the first 100 rows" in html
    assert '<td class="n">10.0</td>' in html
    assert "&lt;b&gt;" in html
    assert 'title="no value"' in html


def test_no_row_is_an_answer(desk: Account, visitor: Visitor) -> None:
    assert "The query ran and found nothing" in text(visitor("viewer").post(reverse("sql-run"), {"q": "FROM orders"}))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("COPY bars TO &#x27;/tmp/x&#x27;", "a statement of the kind COPY is not allowed"),
        ("SELECT * FROM read_csv('/etc/passwd')", "the table function read_csv is not allowed"),
        ("SELECT nothing FROM bars", "nothing"),
        ("", "there is no query"),
    ],
)
def test_a_refusal_is_told_and_the_query_stays(desk: Account, visitor: Visitor, query: str, said: str) -> None:
    answer = visitor("viewer").post(reverse("sql-run"), {"q": query.replace("&#x27;", "'")})
    assert answer.status_code == 400
    assert said in text(answer)


def test_too_long_and_too_many_have_answers_of_their_own(
    desk: Account, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops_console.views.sql.PAGE_SECONDS", 1)
    client = visitor("viewer")
    assert client.post(reverse("sql-run"), {"q": ENDLESS}).status_code == 504
    with _turn(), _turn():
        assert client.post(reverse("sql-run"), {"q": "SELECT 1"}).status_code == 429


def test_rows_are_handed_over_as_a_file_that_no_spreadsheet_obeys(desk: Account, visitor: Visitor) -> None:
    answer = visitor("viewer").post(reverse("sql-run"), {"q": "SELECT '=1+1' AS a, -1 AS b", "as": "csv"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="query-')
    assert list(csv.reader(io.StringIO(text(answer)))) == [["a", "b"], ["'=1+1", "-1"]]
    refused = visitor("viewer").post(reverse("sql-run"), {"q": "DROP x", "as": "csv"})
    assert (refused.status_code, "Content-Disposition" in refused.headers) == (400, False)


def test_a_query_is_kept_replaced_shown_to_all_and_deleted_by_its_owner(desk: Account, visitor: Visitor) -> None:
    viewer, trader = visitor("viewer"), visitor("trader")
    viewer.post(reverse("sql-save"), {"q": "SELECT 1", "name": " my  query "})
    answer = viewer.post(reverse("sql-save"), {"q": "SELECT 2", "name": "my query"})
    kept = SavedQuery.objects.get()
    assert (kept.name, kept.text, kept.owner.username) == ("my query", "SELECT 2", "viewer")
    assert "SELECT 2</textarea>" in text(viewer.get(answer.headers["Location"]))
    page = text(trader.get(reverse("sql")))
    assert "my query" in page
    assert reverse("sql-delete", args=[kept.pk]) not in page
    refused = trader.post(reverse("sql-delete", args=[kept.pk]), headers={"HX-Request": "true"})
    assert refused.status_code == 404
    assert viewer.post(reverse("sql-delete", args=[kept.pk])).status_code == 302
    assert not SavedQuery.objects.exists()


@pytest.mark.parametrize("body", [{"q": "SELECT 1"}, {"name": "x"}, {"q": "SELECT 1", "name": "x" * 81}])
def test_what_cannot_be_kept_says_why(desk: Account, visitor: Visitor, body: dict[str, str]) -> None:
    answer = visitor("viewer").post(reverse("sql-save"), body)
    assert answer.status_code == 400
    assert "allowed" in text(answer) or "cannot be kept" in text(answer)


@pytest.mark.parametrize("saved", ["0", "x", "9" * 30, "-1"])
def test_an_unknown_saved_query_is_not_there(desk: Account, visitor: Visitor, saved: str) -> None:
    assert visitor("viewer").get(reverse("sql") + f"?saved={saved}").status_code == 404


def test_nobody_and_people_without_a_role_ask_nothing(desk: Account, visitor: Visitor, client: Any) -> None:
    for name, arguments in (("sql-run", []), ("sql-save", []), ("sql-delete", [1]), ("data-import", [])):
        assert client.post(reverse(name, args=arguments)).status_code == 302
        assert visitor("nobody").post(reverse(name, args=arguments)).status_code == 403
        assert visitor("viewer").get(reverse(name, args=arguments)).status_code == 405


def test_the_number_of_kept_queries_is_bounded_and_the_table_keeps_its_rules(db: None) -> None:
    owner, now = User.objects.create(username="ann"), wall_now()
    rows = [SavedQuery(owner=owner, name=f"q{n}", text="x", created_at=now, updated_at=now) for n in range(MOST_OF_ONE)]
    SavedQuery.objects.bulk_create(rows)
    with pytest.raises(SavedQueryRefused, match="200 queries are kept"):
        save_query(owner=owner, name="one more", text="SELECT 1", now=now)
    assert save_query(owner=owner, name="q7", text="SELECT 7", now=now).text == "SELECT 7"
    for wrong in ({"name": "q7"}, {"name": "", "text": "x"}, {"name": "new", "text": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SavedQuery.objects.create(**{"owner": owner, "text": "x", "created_at": now, "updated_at": now} | wrong)
    with pytest.raises(SavedQuery.DoesNotExist):
        delete_query(owner=User.objects.create(username="bob"), query_id=SavedQuery.objects.first().pk)
