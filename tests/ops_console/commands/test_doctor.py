"""The doctor finds what is wrong and says what to do."""

import socket
import sys
from datetime import timedelta

import polars as pl
import pytest
from django.db import OperationalError, connection

from execution.models import Account, Position
from execution.services.wishes import keep_wish
from marketdata.clock import wall_now
from marketdata.models import Instrument
from marketdata.types import FeedState
from ops_console.diagnosis import desk, examine, machine, servers
from ops_console.management.commands.doctor import CHECKS
from tests.factories import make_account, make_order, make_quote
from tests.ops_console.commands.terminal import run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.TRADING_MODE = "paper"


@pytest.fixture
def account():
    return make_account(name="paper")


def of(check):
    return check(wall_now())


def test_every_check_is_one_line_and_the_exit_code_tells():
    outcome = run("doctor", "--json")
    assert outcome.code == 4  # a new installation has no bars
    assert [row["name"] for row in outcome.document] == list(CHECKS)
    assert all("\n" not in row["found"] for row in outcome.document)
    assert all(row["well"] == (row["remedy"] == "") for row in outcome.document)
    text = run("doctor").out
    assert "✓ database: PostgreSQL" in text
    assert "✗ bars: none" in text


def test_all_well_is_zero(monkeypatch):
    monkeypatch.setattr("ops_console.management.commands.doctor.CHECKS", {"python": machine.check_python})
    assert run("doctor").code == 0


def test_python(monkeypatch):
    assert of(machine.check_python).is_well
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert not of(machine.check_python).is_well


def test_packages(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "requirements.txt").write_text("# pins\nDjango==1.0\nno-such-thing==1\npytest\n")
    found = of(machine.check_packages)
    assert "Django" in found.found
    assert "no-such-thing missing (pinned 1)" in found.found
    assert found.remedy == "pip install -r requirements.txt"


def test_the_pins_of_this_repository_are_read():
    assert of(machine.check_packages).found


def test_folder(settings, tmp_path, monkeypatch):
    assert of(machine.check_folder).is_well
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 10**18)
    assert "make room" in of(machine.check_folder).remedy
    settings.VAR_DIR = tmp_path / "nowhere"
    assert "VAR_DIR" in of(machine.check_folder).remedy


def test_clock():
    assert of(machine.check_clock).is_well
    assert not machine.check_clock(wall_now() + timedelta(seconds=5)).is_well


def test_port(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings.PORT = taken.getsockname()[1]
        assert "PORT=" in of(machine.check_port).remedy
    assert of(machine.check_port).is_well


def test_database_and_migrations(monkeypatch):
    assert of(servers.check_database).is_well
    assert of(servers.check_migrations).is_well
    monkeypatch.setattr(servers, "OLDEST_POSTGRESQL", 990_000)
    assert "PostgreSQL 15" in of(servers.check_database).remedy


@pytest.mark.parametrize(("fsync", "well"), [("on", True), ("off", False)])
def test_durability(monkeypatch, fsync, well):
    monkeypatch.setattr(servers, "_setting", lambda name: fsync if name == "fsync" else "on")
    assert of(servers.check_durability).is_well is well


def test_append_only_triggers():
    assert of(servers.check_append_only).is_well
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE execution_fill DISABLE TRIGGER execution_fill_append_only")
    found = of(servers.check_append_only)
    assert (found.is_well, found.found) == (False, "not guarded: execution_fill")


def test_redis(monkeypatch):
    assert of(servers.check_redis).is_well
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
    assert "pages stand still" in of(servers.check_redis).remedy


def test_bars(monkeypatch):
    assert of(desk.check_bars).remedy == desk.IMPORT
    rows = pl.DataFrame({"symbol": ["A"], "first": ["2000-01-03"], "last": ["2013-03-01"], "bars": [7]})
    monkeypatch.setattr(desk, "coverage", lambda: rows)
    assert of(desk.check_bars).found == "7 of 1 symbols, 2000-01-03 to 2013-03-01"


def test_instruments(account):
    assert of(desk.check_instruments).is_well
    Instrument.objects.create(symbol="NEW")
    assert of(desk.check_instruments).is_well  # nobody quotes it yet
    make_quote(account.feed, "NEW")
    assert "NEW" in of(desk.check_instruments).found
    Instrument.objects.filter(symbol="NEW").update(tradable=False)
    assert of(desk.check_instruments).is_well


def test_no_instruments_and_no_desk():
    assert of(desk.check_instruments).remedy == desk.IMPORT
    assert of(desk.check_feed).remedy == desk.START
    assert "counts as engaged" in of(desk.check_trading_state).found


def test_feed(account):
    assert not of(desk.check_feed).is_well
    feed = account.feed
    feed.state, feed.last_tick_at = FeedState.LIVE, wall_now()
    feed.save()
    assert of(desk.check_feed).is_well
    feed.last_tick_at = wall_now() - timedelta(minutes=2)
    feed.save()
    assert "stream" in of(desk.check_feed).remedy
    feed.state, feed.problem = FeedState.STALE, "stream: the connection was closed"
    feed.save()
    assert "the connection was closed" in of(desk.check_feed).found
    assert "reconnects by itself" in of(desk.check_feed).remedy


def test_trading_state(account, tmp_path):
    assert of(desk.check_trading_state).is_well
    keep_wish(tmp_path, scope="global", operator="c", reason="feed looks wrong", source="command", wall_now=wall_now())
    assert "wait on disk" in of(desk.check_trading_state).found


def test_invariants(account):
    make_order(account)
    assert of(desk.check_invariants).found == "all hold in 1 accounts"
    Account.objects.update(cash=1)
    found = of(desk.check_invariants)
    assert "paper: I2 account paper: cash differs from its entries" in found.found
    assert "kill switch" in found.remedy


def test_book(account):
    order = make_order(account)
    assert of(desk.check_book).found == "1 accounts add up"
    Account.objects.update(cash=1)
    Position.objects.filter(instrument=order.instrument).update(open_buy_quantity=11, long_cap=1000)
    found = of(desk.check_book)
    assert "reservations of 1 positions differ" in found.found
    assert "cash differs from its entries by -99999" in found.found
    assert not found.is_well


def test_shares_that_no_fill_explains(account):
    order = make_order(account)
    Position.objects.filter(instrument=order.instrument).update(quantity=5, cost_basis=500, long_cap=1000)
    assert "shares of 1 positions differ" in of(desk.check_book).found


@pytest.mark.parametrize("error", [OperationalError("connection refused\nmore"), OSError("no such device")])
def test_a_check_that_cannot_be_made_is_not_well(error):
    def broken(_):
        raise error

    [found] = examine({"database": broken}, wall_now())
    assert (found.is_well, found.name, "\n" in found.found) == (False, "database", False)
