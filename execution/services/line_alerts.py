"""Tell people when a broker's stream tells nothing, and when it speaks again: one alert each, from sign to end."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from execution.models import BrokerLink
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity

MUTE, DOWN, UNSTORED = "broker_stream_mute", "broker_line_down", "broker_update_not_stored"
REST_AWAY = "broker_rest_away"
BLIP = timedelta(seconds=3)
"""A connection that is lost and back within so long alarms nobody; a mute one has had its time already."""
REST_TELLS = "Fills come by REST meanwhile, some seconds later."
NOBODY_TELLS = "REST does not answer either: what happens at the broker is read when one of them is back."
REST_BLIP = timedelta(seconds=15)
"""Wall time without a whole answer to a cross-check: a try or two that fail, and their pauses, tell nobody."""
STREAM_ALONE = "The stream alone tells of fills, and nobody would notice if it told nothing."
UNSTORED_IS_OVER_AFTER = timedelta(minutes=10)
"""Wall time without another one."""


class LineAlarm:
    """What one process has told of an account's stream; `subject` is the account's scope."""

    def __init__(self, *, subject: str) -> None:
        self._subject = subject
        self._told: tuple[str, str] | None = None
        """Code and severity, both empty when all is well; None at first: another process may have told before."""
        self._unstored_at: datetime | None = None
        self._told_rest_away: bool | None = None

    def look(
        self, *, state: str, problem: str, away: timedelta, unsteady: bool, rest_answers: bool, wall_now: datetime
    ) -> None:
        """Raise, change or resolve the alert; `away` is how long the stream has not been live.

        `unsteady`: connections are made and lost in a row, so that being live for a moment means little.
        Locks: the alerts.
        """
        code = _code(state, away, unsteady=unsteady)
        if code is None:
            return
        severity = "" if not code else (AlertSeverity.WARNING if rest_answers else AlertSeverity.CRITICAL).value
        if self._told == (code, severity):
            return
        with transaction.atomic():
            for other in {MUTE, DOWN} - {code}:
                resolve_alert(code=other, subject=self._subject, now=wall_now)
            if code:
                meanwhile = REST_TELLS if rest_answers else NOBODY_TELLS
                said = problem or "connections do not last"
                raise_alert(
                    code=code,
                    subject=self._subject,
                    severity=severity,
                    message=f"the stream of trade updates is {state}: {said}. {meanwhile}",
                    now=wall_now,
                )
        self._told = (code, severity)

    def look_at_rest(self, *, away: timedelta, problem: str, stream_is_live: bool, wall_now: datetime) -> None:
        """Raise or resolve the alert of a REST that gives no answer; `away` is since when, zero where none is owed.

        It stands beside what is told of the stream: one that looks live and tells nothing is found by REST only.
        Lock: the alert.
        """
        is_away = away >= REST_BLIP
        if is_away == self._told_rest_away or (away and not is_away):
            return
        if is_away:
            meanwhile = STREAM_ALONE if stream_is_live else NOBODY_TELLS
            raise_alert(
                code=REST_AWAY,
                subject=self._subject,
                severity=(AlertSeverity.WARNING if stream_is_live else AlertSeverity.CRITICAL).value,
                message=f"orders cannot be compared with the broker by REST: {problem or 'no answer yet'}. {meanwhile}",
                now=wall_now,
            )
        else:
            resolve_alert(code=REST_AWAY, subject=self._subject, now=wall_now)
        self._told_rest_away = is_away

    def unstored(self, *, what: str, wall_now: datetime) -> None:
        """Tell that something of the broker's could not be taken. Lock: the alert."""
        raise_alert(code=UNSTORED, subject=self._subject, severity=AlertSeverity.CRITICAL, message=what, now=wall_now)
        self._unstored_at = wall_now

    def forget_unstored(self, *, wall_now: datetime) -> None:
        """Resolve that alert once nothing of the kind has happened for a while. Lock: the alert."""
        if self._unstored_at is not None and wall_now - self._unstored_at >= UNSTORED_IS_OVER_AFTER:
            resolve_alert(code=UNSTORED, subject=self._subject, now=wall_now)
            self._unstored_at = None


def _code(state: str, away: timedelta, *, unsteady: bool) -> str | None:
    """Return which alert should stand, empty for none; None when it is too early to tell."""
    if state == BrokerLink.Stream.MUTE:
        return MUTE
    if unsteady:
        return DOWN
    if state == BrokerLink.Stream.LIVE:
        return ""
    return DOWN if away >= BLIP else None
