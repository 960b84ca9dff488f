"""One alert from the first sign that a broker's stream tells nothing until it speaks again."""

from datetime import timedelta
from typing import Any

import pytest

from execution.services.line_alerts import (
    BLIP,
    DOWN,
    MUTE,
    REST_AWAY,
    REST_BLIP,
    UNSTORED,
    UNSTORED_IS_OVER_AFTER,
    LineAlarm,
)
from risk.models import Alert
from tests.factories import WALL_NOW

pytestmark = pytest.mark.django_db
SUBJECT = "account:test"


def look(alarm: LineAlarm, state: str, seconds: float = 0, **fields: Any) -> list[tuple[str, str, str, int]]:
    """Look once; returns every alert with what it became."""
    told = {"problem": "so it is", "unsteady": False, "rest_answers": True, "wall_now": WALL_NOW} | fields
    alarm.look(state=state, away=timedelta(seconds=seconds), **told)
    return list(Alert.objects.order_by("id").values_list("code", "severity", "state", "count"))


def test_a_mute_stream_is_told_at_once_and_once_and_is_over_when_it_is_believed_again() -> None:
    alarm = LineAlarm(subject=SUBJECT)
    assert look(alarm, "live") == []
    for _ in range(3):
        assert look(alarm, "mute") == [(MUTE, "warning", "open", 1)]
    assert look(alarm, "live") == [(MUTE, "warning", "resolved", 1)]


def test_a_connection_that_is_back_at_once_alarms_nobody() -> None:
    alarm = LineAlarm(subject=SUBJECT)
    assert look(alarm, "down", 0) == look(alarm, "down", BLIP.total_seconds() - 0.1) == look(alarm, "live") == []


@pytest.mark.parametrize("state", ["down", "refused", "connecting"])
def test_a_stream_that_is_away_for_longer_is_told_and_more_gravely_without_rest(state: str) -> None:
    alarm = LineAlarm(subject=SUBJECT)
    assert look(alarm, state, BLIP.total_seconds()) == [(DOWN, "warning", "open", 1)]
    assert look(alarm, state, 9, rest_answers=False) == [(DOWN, "critical", "open", 2)]
    assert "REST does not answer either" in Alert.objects.get().message
    assert look(alarm, "live") == [(DOWN, "critical", "resolved", 2)]


def test_connections_that_are_made_and_lost_in_a_row_are_told_though_each_is_live_for_a_moment() -> None:
    alarm = LineAlarm(subject=SUBJECT)
    assert look(alarm, "live", unsteady=True, problem="") == [(DOWN, "warning", "open", 1)]
    assert look(alarm, "live") == [(DOWN, "warning", "resolved", 1)]


def test_what_another_process_has_told_is_over_when_this_one_listens() -> None:
    look(LineAlarm(subject=SUBJECT), "mute")
    anew = LineAlarm(subject=SUBJECT)
    assert look(anew, "connecting", 1) == [(MUTE, "warning", "open", 1)]
    assert look(anew, "live") == [(MUTE, "warning", "resolved", 1)]


def test_a_message_that_could_not_be_taken_is_told_until_there_was_none_for_a_while() -> None:
    alarm = LineAlarm(subject=SUBJECT)
    alarm.unstored(what="a message of the stream could not be taken", wall_now=WALL_NOW)
    alarm.forget_unstored(wall_now=WALL_NOW + UNSTORED_IS_OVER_AFTER - timedelta(seconds=1))
    assert Alert.objects.get(code=UNSTORED).state == "open"
    alarm.forget_unstored(wall_now=WALL_NOW + UNSTORED_IS_OVER_AFTER)
    assert Alert.objects.get(code=UNSTORED).state == "resolved"


def look_at_rest(alarm: LineAlarm, seconds: float, *, live: bool = True) -> list[tuple[str, str, int]]:
    away = timedelta(seconds=seconds)
    alarm.look_at_rest(away=away, problem="no requests are left", stream_is_live=live, wall_now=WALL_NOW)
    return list(Alert.objects.filter(code=REST_AWAY).order_by("id").values_list("severity", "state", "count"))


def test_rest_that_gives_no_answer_for_a_while_is_told_once_beside_a_live_stream() -> None:
    alarm, late = LineAlarm(subject=SUBJECT), REST_BLIP.total_seconds()
    assert look_at_rest(alarm, 0) == look_at_rest(alarm, late - 0.1) == []
    assert look_at_rest(alarm, late) == look_at_rest(alarm, late + 9) == [("warning", "open", 1)]
    assert "no requests are left. The stream alone" in Alert.objects.get().message
    assert look_at_rest(alarm, 0) == [("warning", "resolved", 1)]
    assert look_at_rest(alarm, late, live=False) == [("warning", "resolved", 1), ("critical", "open", 1)]


def test_what_another_process_has_told_of_rest_is_over_with_the_first_answer() -> None:
    look_at_rest(LineAlarm(subject=SUBJECT), 60)
    anew = LineAlarm(subject=SUBJECT)
    assert look_at_rest(anew, 2) == [("warning", "open", 1)]
    assert look_at_rest(anew, 0) == [("warning", "resolved", 1)]
