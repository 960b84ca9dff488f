"""The pages of backtests: list, form, report, comparison, CSV, and the difference from a replay."""

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from execution.models import Account
from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.services.instruments import ensure_instruments
from ops_console.backtest_report import _csv
from signals.models import Backtest
from signals.services.backtests import perform_backtest, plan_backtest
from tests.ops_console.conftest import Visitor
from tests.ops_console.test_pages import INLINE
from tests.signals.backtest.universes import SYMBOLS, raw_bars
from trading.models import Job
from trading.services.backtests import ask_backtest
from trading.services.jobs import holding
from trading.services.jobs.holding import Held

WISH = {"strategy": "mean_reversion", "start": "2011-03-01", "end": "2011-04-29", "draws": 20}
SHORT = {"distribution_sessions": 20, "holding_sessions": 20}
FORM = {"kind": "backtest", "strategy": "mean_reversion", "start": "2011-03-01", "end": "2011-03-31"}


@pytest.fixture
def _lake(desk: Account, settings: Any, tmp_path: Path) -> None:
    settings.LAKE_DIR, settings.BACKTEST_DIR = tmp_path / "lake", tmp_path / "backtests"
    ensure_instruments(symbols=SYMBOLS)
    default_lake().write(raw_bars(), "1d", "test")


def done(kind: str = "backtest", **fields: Any) -> Backtest:
    wish = WISH | {"settings": SHORT} | fields
    row = plan_backtest(kind=kind, parameters=wish, asked_by="ann", wall_now=wall_now())
    return perform_backtest(backtest=row, models=None, clock=wall_now)


def page(client: Client, name: str, *args: Any, query: str = "") -> str:
    return client.get(reverse(name, args=args) + query).content.decode()


@pytest.mark.usefixtures("_lake")
def test_an_empty_list_says_how_to_fill_it(visitor: Visitor) -> None:
    html = page(visitor("viewer"), "backtests")
    assert "No backtest matches" in html
    assert "manage.py backtest" in html
    assert 'hx-trigger="every' not in html.split('id="backtests-table"')[1][:300]


@pytest.mark.usefixtures("_lake")
def test_a_report_has_every_part_and_no_inline_code(visitor: Visitor) -> None:
    row = done(title="<b>Bold</b>")
    html = page(visitor("viewer"), "backtest", row.pk)
    for title in ("Result", "Months", "Exposure", "Turnover", "Information", "Costs", "How sure", "All figures"):
        assert f"<h2>{title}</h2>" in html
    for chart in ("equity", "drawdown", "exposure", "turnover", "ic"):
        assert f'data-backtest-chart="{chart}"' in html
    assert "&lt;b&gt;Bold&lt;/b&gt;" in html
    assert "<b>Bold" not in html
    assert row.code_version in html
    assert not INLINE.findall(html)


@pytest.mark.usefixtures("_lake")
def test_a_search_shows_its_trials_and_a_walk_forward_its_windows(visitor: Visitor) -> None:
    searched = done("search", space={"enter": {"low": 1.0, "high": 2.0}}, trials=2, draws=0)
    html = page(visitor("viewer"), "backtest", searched.pk)
    assert "Where it searched" in html
    assert "How sure" not in html
    walked = done("walk_forward", start="2010-12-01", train=20, valid=0, test=10, embargo=2, draws=0)
    assert "each judged by what was learnt before it" in page(visitor("viewer"), "backtest", walked.pk)


@pytest.mark.usefixtures("_lake")
def test_series_have_a_number_a_session(visitor: Visitor) -> None:
    row = done()
    runs = visitor("viewer").get(f"{reverse('backtests-series')}?id={row.pk}").json()["runs"]
    assert len(runs) == 1
    lengths = {len(values) for name, values in runs[0].items() if isinstance(values, list)}
    assert lengths == {row.metrics["sessions"]}
    assert runs[0]["equity"][-1] == pytest.approx(row.metrics["final_equity"])
    assert visitor("viewer").get(f"{reverse('backtests-series')}?id=999").status_code == 404


@pytest.mark.usefixtures("_lake")
def test_a_run_whose_rows_are_gone_still_shows_its_figures(visitor: Visitor, settings: Any, tmp_path: Path) -> None:
    row = done()
    settings.BACKTEST_DIR = tmp_path / "elsewhere"
    assert "All figures" in page(visitor("viewer"), "backtest", row.pk)
    runs = visitor("viewer").get(f"{reverse('backtests-series')}?id={row.pk}").json()["runs"]
    assert runs[0]["dates"] == []
    assert visitor("viewer").get(reverse("backtest-export", args=[row.pk, "days"])).status_code == 404


@pytest.mark.usefixtures("_lake")
def test_side_by_side_tells_differences_and_marks_the_nicer(visitor: Visitor) -> None:
    first, second = done(half_spread_bps=0), done(half_spread_bps=20)
    client = visitor("viewer")
    html = page(client, "backtests-compare", query=f"?id={first.pk}&id={second.pk}")
    assert "Half spread bps" in html
    assert html.count("★") > 3
    assert f"id={first.pk}&amp;id={second.pk}" in html
    alone = page(client, "backtests-compare", query=f"?id={first.pk}&id={first.pk}&id=x&id=99999")
    assert "Tick two to five" in alone
    same = page(client, "backtests-compare", query=f"?id={first.pk}&id={done(half_spread_bps=0).pk}")
    assert "Nothing differs" in same


@pytest.mark.usefixtures("_lake")
def test_more_than_five_are_cut(visitor: Visitor) -> None:
    row = done()
    Backtest.objects.bulk_create(
        [
            Backtest(
                **{f.attname: getattr(row, f.attname) for f in Backtest._meta.fields if f.name not in ("id", "key")}
            )
            for _ in range(6)
        ]
    )
    query = "&".join(f"id={pk}" for pk in Backtest.objects.values_list("pk", flat=True))
    html = page(visitor("viewer"), "backtests-compare", query=f"?{query}")
    assert 'data-series="5"' in html
    assert 'data-series="6"' not in html


@pytest.mark.usefixtures("_lake")
def test_tables_are_sent_as_csv(visitor: Visitor) -> None:
    row = done()
    answer = visitor("viewer").get(reverse("backtest-export", args=[row.pk, "orders"]))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="backtest-{row.pk}-orders.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(rows) == row.metrics["orders"]
    assert set(rows[0]) == {"date", "symbol", "quantity", "price", "cost"}
    for table in ("secrets", "..", "days-"):
        assert visitor("viewer").get(f"/backtests/{row.pk}/{table}.csv").status_code == 404


def test_a_spreadsheet_computes_no_text_of_ours() -> None:
    lines = "".join(_csv(pl.DataFrame({"symbol": ["=1+1", "@x", "AAPL", "-"], "quantity": [-1.5, 2.0, None, 0.0]})))
    assert lines.splitlines() == ["symbol,quantity", "'=1+1,-1.5", "'@x,2.0", "AAPL,", "'-,0.0"]


@pytest.mark.usefixtures("_lake")
def test_the_form_asks_for_a_backtest_and_leads_to_it(visitor: Visitor) -> None:
    filled = FORM | {"settings": "distribution_sessions=20 holding_sessions=20", "impact": "0", "symbols": "aaa, bbb"}
    answer = visitor("trader").post(reverse("backtest-start"), filled)
    row = Backtest.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("backtest", args=[row.pk]))
    assert (row.parameters["impact"], row.parameters["symbols"], row.asked_by) == (0.0, ["AAA", "BBB"], "trader")
    assert Job.objects.get(pk=row.job_id).kind == "backtest"
    html = page(visitor("viewer"), "backtest", row.pk)
    assert "waits for its turn" in html
    assert reverse("backtest-now", args=[row.pk]) in html


@pytest.mark.usefixtures("_lake")
@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"end": "2010-01-04"}, "end"), ({"impact": "much"}, "impact"), ({"settings": "top"}, "settings"),
     ({"space": "top=1:2"}, "space"), ({"kind": "x"}, "kind")],
)  # fmt: skip
def test_what_is_refused_comes_back_with_the_form_as_it_was(visitor: Visitor, wrong: dict[str, str], word: str) -> None:
    answer = visitor("trader").post(reverse("backtest-start"), FORM | {"title": "mine & yours"} | wrong)
    html = answer.content.decode()
    assert answer.status_code == 400
    assert f"Not accepted: {word}" in html
    assert 'value="mine &amp; yours"' in html
    assert not Backtest.objects.exists()


@pytest.mark.usefixtures("_lake")
def test_viewers_start_and_cancel_nothing(visitor: Visitor) -> None:
    row = ask_backtest(kind="backtest", parameters=WISH, asked_by="ann", wall_now=wall_now())
    viewer = visitor("viewer")
    assert viewer.post(reverse("backtest-start"), FORM).status_code == 403
    assert viewer.post(reverse("backtest-cancel", args=[row.pk])).status_code == 403
    trader = visitor("trader")
    assert (
        "It is canceled."
        in trader.post(reverse("backtest-cancel", args=[row.pk]), headers={"HX-Request": "true"}).content.decode()
    )
    assert trader.post(reverse("backtest-cancel", args=[row.pk]), headers={"HX-Request": "true"}).status_code == 409


@pytest.mark.usefixtures("_lake")
def test_a_running_one_shows_how_far_it_is_and_loads_anew_when_over(visitor: Visitor) -> None:
    row = ask_backtest(kind="backtest", parameters=WISH, asked_by="ann", wall_now=wall_now())
    job = holding.take(now=wall_now())
    holding.tell(Held(job.pk, job.claim), done=250, total=1000, what="deciding", now=wall_now())
    client = visitor("viewer")
    assert 'value="25"' in page(client, "backtests")
    assert 'hx-trigger="every 2s"' in page(client, "backtests-rows")
    assert "deciding" in page(client, "backtest-now", row.pk)
    perform_backtest(backtest=row, models=None, clock=wall_now)
    assert client.get(reverse("backtest-now", args=[row.pk])).headers["HX-Refresh"] == "true"


@pytest.mark.usefixtures("_lake")
def test_without_a_replay_the_page_says_how_to_make_one(visitor: Visitor) -> None:
    html = page(visitor("viewer"), "backtest-replay", done().pk)
    assert "manage.py paper_run --strategy mean_reversion --from 2011-03-01 --to 2011-04-29" in html


@pytest.mark.usefixtures("_lake")
def test_a_long_list_costs_no_more_queries(
    visitor: Visitor, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = visitor("viewer")
    ask_backtest(kind="backtest", parameters=WISH, asked_by="ann", wall_now=wall_now())
    page(client, "backtests")
    with django_assert_max_num_queries(45) as few:
        page(client, "backtests")
    for _ in range(12):
        ask_backtest(kind="backtest", parameters=WISH, asked_by="ann", wall_now=wall_now())
    with django_assert_max_num_queries(len(few)):
        page(client, "backtests")
