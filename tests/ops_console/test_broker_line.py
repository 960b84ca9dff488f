"""What is wrong with the line to the broker is said everywhere: what, since when, and what happens meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from execution.models import Account, BrokerLink
from execution.services.broker_link import SHORTFALL
from marketdata.clock import wall_now
from ops_console.context import LIGHTS
from ops_console.diagnosis.desk import check_line
from ops_console.health import tradability
from ops_console.selectors import Verdict, desk_status
from ops_console.snapshot.broker_line import BY_NOTHING, BY_REST, NEVER, described, line_tone, troubles
from ops_console.snapshot.desk import read_desk
from ops_console.snapshot.header import lights
from ops_console.snapshot.problems import problems
from tests.factories import allow_bursts, make_account

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def a_link(now: datetime = NOW, **fields: Any) -> BrokerLink:
    """A line that is well, told a moment ago."""
    values = {
        "stream": "live",
        "stream_since": now - timedelta(minutes=5),
        "heard_at": now - timedelta(seconds=1),
        "polled_at": now - timedelta(seconds=2),
        "updated_at": now - timedelta(seconds=1),
    }
    return BrokerLink(**values | fields)


def titles(**fields: Any) -> list[str]:
    return [found.title for found in troubles(a_link(**fields), NOW)]


def told(**fields: Any) -> str:
    (found,) = troubles(a_link(**fields), NOW)
    return f"{found.tone}: {found.title}. {found.text}"


def test_a_line_that_is_well_has_no_trouble() -> None:
    assert troubles(a_link(), NOW) == []
    assert line_tone(a_link(), NOW) == "good"
    assert described(a_link(), NOW) == "live since 11:55:00 UTC; heard 1 s ago; REST answered 2 s ago"


def test_a_line_that_nobody_ever_opened_is_unknown() -> None:
    for link in (None, BrokerLink(updated_at=NOW)):
        assert line_tone(link, NOW) == "unknown"
        assert [found.title for found in troubles(link, NOW)] == [NEVER]
        assert described(link, NOW) == NEVER.lower()


@pytest.mark.parametrize("state", ["mute", "down", "refused"])
def test_a_stream_that_is_not_live_says_since_when_why_and_what_happens_meanwhile(state: str) -> None:
    text = told(stream=state, stream_problem="cut off")
    assert text.startswith("warn: ")
    for word in (state if state != "refused" else "refuses", "since 11:55:00 UTC", "cut off", BY_REST):
        assert word in text
    assert line_tone(a_link(stream=state), NOW) == "warn"


def test_without_stream_and_rest_nothing_is_seen_and_that_is_bad() -> None:
    fields = {"stream": "down", "poll_problem": "the broker cannot be reached"}
    found = troubles(a_link(**fields), NOW)
    assert [one.tone for one in found] == ["bad", "warn"]
    assert BY_NOTHING in found[0].text
    assert line_tone(a_link(**fields), NOW) == "bad"


def test_rest_that_was_not_asked_for_long_does_not_count_as_answering() -> None:
    old = {"stream": "down", "polled_at": NOW - timedelta(minutes=1)}
    assert line_tone(a_link(**old), NOW) == "bad"
    assert BY_NOTHING in told(**old)


def test_a_live_line_that_nobody_notes_any_more_is_not_live() -> None:
    silent = a_link(updated_at=NOW - timedelta(seconds=9))
    assert line_tone(silent, NOW) == "bad"
    assert "Nobody listens to the broker since 11:59:51 UTC" in titles(updated_at=NOW - timedelta(seconds=9))


@pytest.mark.parametrize(
    ("fields", "title", "tone"),
    [
        ({"poll_problem": "timed out"}, "The broker's REST does not answer the cross-check", "warn"),
        ({"poll_problem": f"{SHORTFALL}one: 10 filled, 4 told"}, "The broker counts shares", "bad"),
        ({"trading_blocked": True}, "The broker has blocked trading", "bad"),
        ({"suspended": True}, "New orders are refused at the broker", "bad"),
        ({"suspended": True, "suspended_by_us": True}, "The broker takes no orders: the second lock", "warn"),
        ({"suspend_problem": "HTTP 500"}, "The second lock at the broker cannot be", "warn"),
        ({"assets_problem": "HTTP 500"}, "What the broker trades and lends could not be read", "warn"),
        ({"clock_skew_milliseconds": 3_400}, "Our clock is 3 s behind the broker's", "warn"),
        ({"clock_skew_milliseconds": -3_400}, "Our clock is 3 s ahead of the broker's", "warn"),
        ({"identity_problem": "it answers for account 7"}, "Another account answers", "bad"),
        (
            {"stream": "connecting", "stream_since": NOW - timedelta(seconds=9)},
            "The broker's stream is connecting",
            "warn",
        ),
    ],
)
def test_each_trouble_has_its_words(fields: dict[str, Any], title: str, tone: str) -> None:
    (found,) = troubles(a_link(**fields), NOW)
    assert (found.title.startswith(title), found.tone) == (True, tone)
    assert found.text


def test_a_clock_within_two_seconds_and_a_short_connecting_are_no_trouble() -> None:
    assert titles(clock_skew_milliseconds=2_000) == []
    assert titles(stream="connecting", stream_since=NOW - timedelta(seconds=2)) == []


def test_the_worst_comes_first() -> None:
    found = troubles(a_link(stream="mute", trading_blocked=True, clock_skew_milliseconds=9_000), NOW)
    assert [one.tone for one in found] == ["bad", "warn", "warn"]


@pytest.fixture
def network_desk(db: None, settings: Any) -> Account:
    settings.TRADING_MODE = "alpaca_paper"
    account = make_account(name="alpaca_paper", mode="alpaca_paper")
    allow_bursts()
    return account


def noted(account: Account, **fields: Any) -> None:
    link = a_link(wall_now(), **fields)
    link.account = account
    link.save()


def test_the_console_shows_a_mute_stream(network_desk: Account) -> None:
    noted(network_desk, stream="mute", stream_problem="connected, but 3 facts came by REST alone")
    desk = read_desk(wall_now())
    assert lights(desk)["light.broker"].tone == "warn"
    (problem,) = [found for found in problems(desk) if "mute" in found.title]
    assert "3 facts came by REST alone" in problem.next_step


def test_status_doctor_and_health_say_the_same(network_desk: Account) -> None:
    noted(network_desk, stream="down", poll_problem="the broker cannot be reached")
    found = {one.text: one.verdict for one in desk_status(wall_now()).findings if one.name == "broker"}
    assert set(found.values()) == {Verdict.DEGRADED}
    assert any("is down since" in text for text in found)
    assert "is down since" in check_line(wall_now()).found
    assert not check_line(wall_now()).is_well
    (check,) = [one for one in tradability(wall_now()) if one.name == "broker"]
    assert not check.ok
    assert "is down since" in check.detail


def test_a_line_that_is_well_is_well_everywhere(network_desk: Account) -> None:
    noted(network_desk)
    desk = read_desk(wall_now())
    assert lights(desk)["light.broker"].tone == "good"
    assert check_line(wall_now()).is_well
    assert [one.ok for one in tradability(wall_now()) if one.name == "broker"] == [True]
    assert [one.verdict for one in desk_status(wall_now()).findings if one.name == "broker"] == [Verdict.HEALTHY]


def test_mute_may_trade_because_rest_tells(network_desk: Account) -> None:
    noted(network_desk, stream="mute")
    assert [one.ok for one in tradability(wall_now()) if one.name == "broker"] == [True]


def test_the_process_is_missed_in_this_mode(network_desk: Account) -> None:
    assert any(one.name == "trade_updates" for one in desk_status(wall_now()).findings)


def test_a_desk_that_trades_here_has_no_line(db: None, settings: Any) -> None:
    settings.TRADING_MODE = "paper"
    make_account(name="paper")
    desk = read_desk(wall_now())
    assert "light.broker" not in lights(desk)
    assert check_line(wall_now()).is_well
    assert not any(one.name in {"broker", "trade_updates"} for one in desk_status(wall_now()).findings)
    assert not any(one.name == "broker" for one in tradability(wall_now()))
    assert "light.broker" not in LIGHTS


def test_the_page_has_the_light_and_the_words(network_desk: Account, visitor: Any) -> None:
    noted(network_desk, stream="refused", stream_problem="the broker refuses the log-in: unauthorized")
    client: Client = visitor("viewer")
    page = client.get("/").content.decode()
    assert 'data-light="light.broker"' in page
    assert "The broker refuses the stream of trade updates" in page
