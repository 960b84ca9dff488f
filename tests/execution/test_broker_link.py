"""The line to a broker as it is told: states since when, and times that only move forward."""

from datetime import timedelta

import pytest

from execution.models import BrokerLink
from execution.services.broker_link import link_of, note_account, note_poll, note_stream
from tests.execution.cases import MARKET_AT, WALL_NOW, make_account

pytestmark = pytest.mark.django_db
LATER = WALL_NOW + timedelta(seconds=5)


def test_a_new_link_is_down_and_was_never_heard() -> None:
    link = link_of(make_account())
    assert (link.stream, link.heard_at, link.polled_at, link.backfilled_until) == ("down", None, None, None)


def test_there_is_one_link_for_an_account() -> None:
    account = make_account()
    assert link_of(account) == link_of(account)


def test_since_when_stays_while_the_state_stays() -> None:
    account = make_account()
    note_stream(account_id=account.pk, state="live", problem="", heard_at=WALL_NOW, wall_now=WALL_NOW)
    note_stream(account_id=account.pk, state="live", problem="", heard_at=LATER, wall_now=LATER)
    link = link_of(account)
    assert (link.stream, link.stream_since, link.heard_at, link.updated_at) == ("live", WALL_NOW, LATER, LATER)
    note_stream(account_id=account.pk, state="mute", problem="silent", heard_at=None, wall_now=LATER)
    link = link_of(account)
    assert (link.stream, link.stream_since, link.heard_at, link.stream_problem) == ("mute", LATER, LATER, "silent")


def test_the_first_note_makes_the_row() -> None:
    account = make_account()
    note_stream(account_id=account.pk, state="down", problem="no route", heard_at=None, wall_now=WALL_NOW)
    assert BrokerLink.objects.get(account=account).stream_since == WALL_NOW


def test_what_was_heard_does_not_go_back_in_time() -> None:
    account = make_account()
    note_stream(account_id=account.pk, state="live", problem="", heard_at=LATER, wall_now=LATER)
    note_stream(account_id=account.pk, state="live", problem="", heard_at=WALL_NOW, wall_now=LATER)
    assert link_of(account).heard_at == LATER


def test_a_failed_look_keeps_when_the_last_good_one_was() -> None:
    account = make_account()
    note_poll(account_id=account.pk, wall_now=WALL_NOW, backfilled_until=MARKET_AT)
    note_poll(account_id=account.pk, wall_now=LATER, problem="timed out")
    link = link_of(account)
    assert (link.polled_at, link.poll_problem, link.backfilled_until) == (WALL_NOW, "timed out", MARKET_AT)
    note_poll(account_id=account.pk, wall_now=LATER, backfilled_until=MARKET_AT - timedelta(days=1))
    link = link_of(account)
    assert (link.polled_at, link.poll_problem, link.backfilled_until) == (LATER, "", MARKET_AT)


def test_a_problem_longer_than_its_column_is_cut() -> None:
    account = make_account()
    note_poll(account_id=account.pk, wall_now=WALL_NOW, problem="x" * 1000)
    assert len(link_of(account).poll_problem) == 300


def test_what_is_not_said_of_the_account_stays() -> None:
    account = make_account()
    note_account(account_id=account.pk, wall_now=WALL_NOW, trading_blocked=True, clock_skew_milliseconds=-40)
    note_account(account_id=account.pk, wall_now=LATER, suspended=False)
    link = link_of(account)
    assert (link.trading_blocked, link.suspended, link.clock_skew_milliseconds) == (True, False, -40)
