"""The line to a broker over a network in words: what is wrong with it, since when, what happens meanwhile. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from execution.models import BrokerLink
from execution.services.broker_link import SHORTFALL
from ops_console import figures

S = BrokerLink.Stream
NOTED_WITHIN = timedelta(seconds=6)
"""The process notes the line every two seconds; what is older says nothing of now."""
ASKED_WITHIN = timedelta(seconds=25)
MOST_SKEW_MILLISECONDS = 2_000
NEVER = "Nobody has listened to the broker yet"
BY_REST = "Fills are taken by REST every 2 s meanwhile."
BY_NOTHING = "REST does not answer either: what happens at the broker is not seen now, and read later."
STREAM_TITLES = {
    S.DOWN: "The broker's stream of trade updates is down",
    S.MUTE: "The broker's stream of trade updates is mute",
    S.REFUSED: "The broker refuses the stream of trade updates",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong with the line."""

    tone: str
    title: str
    text: str


def line_tone(link: BrokerLink | None, now: datetime) -> str:
    """Judge the line: `good` live, `warn` when only REST tells, `bad` when nobody does, `unknown` without news."""
    if link is None or link.stream_since is None:
        return "unknown"
    if link.identity_problem:
        return "bad"
    if not is_noted(link, now):
        return "bad"
    if link.stream == S.LIVE:
        return "good"
    return "warn" if rest_answers(link, now) else "bad"


def is_noted(link: BrokerLink, now: datetime) -> bool:
    """Tell whether somebody has looked at the line a moment ago."""
    return now - link.updated_at <= NOTED_WITHIN


def rest_answers(link: BrokerLink, now: datetime) -> bool:
    """Tell whether the newest cross-check by REST came back, and lately."""
    failed = link.poll_problem and not link.poll_problem.startswith(SHORTFALL)
    return not failed and link.polled_at is not None and now - link.polled_at <= ASKED_WITHIN


def described(link: BrokerLink | None, now: datetime) -> str:
    """Say in one line how the line is."""
    if link is None or link.stream_since is None:
        return NEVER.lower()
    heard = "never heard" if link.heard_at is None else f"heard {_age(link.heard_at, now)} ago"
    asked = "REST never answered" if link.polled_at is None else f"REST answered {_age(link.polled_at, now)} ago"
    state = f"{link.stream}{_since(link.stream_since)}"
    return "; ".join(part for part in (state, heard, asked, link.stream_problem, link.poll_problem) if part)


def troubles(link: BrokerLink | None, now: datetime) -> list[Trouble]:
    """List everything that is wrong with the line, the worst first."""
    if link is None or (link.stream_since is None and not link.identity_problem):
        return [
            Trouble("warn", NEVER, "The process trade_updates has not been seen; fills at the broker are not booked.")
        ]
    found = [*_identity(link), *_stream(link, now), *_rest(link), *_permissions(link), *_assets(link), *_clock(link)]
    return sorted(found, key=lambda trouble: trouble.tone != "bad")


def _identity(link: BrokerLink) -> Iterator[Trouble]:
    if link.identity_problem:
        yield Trouble("bad", "Another account answers at the broker", f"{link.identity_problem}. Nothing is sent.")


def _stream(link: BrokerLink, now: datetime) -> Iterator[Trouble]:
    if not is_noted(link, now):
        text = (
            "The process trade_updates gives no sign: fills at the broker are not booked. It reads all when it is back."
        )
        yield Trouble("bad", f"Nobody listens to the broker{_since(link.updated_at)}", text)
        return
    meanwhile = BY_REST if rest_answers(link, now) else BY_NOTHING
    if link.stream in STREAM_TITLES:
        tone = "warn" if rest_answers(link, now) else "bad"
        problem = f"{link.stream_problem}. " if link.stream_problem else ""
        yield Trouble(tone, f"{STREAM_TITLES[S(link.stream)]}{_since(link.stream_since)}", problem + meanwhile)
    elif link.stream == S.CONNECTING and link.stream_since and now - link.stream_since > NOTED_WITHIN:
        yield Trouble("warn", f"The broker's stream is connecting{_since(link.stream_since)}", meanwhile)


def _rest(link: BrokerLink) -> Iterator[Trouble]:
    problem = link.poll_problem
    if problem.startswith(SHORTFALL):
        text = f"{problem.removeprefix(SHORTFALL)}. These orders stay open in the book until the broker tells the rest."
        yield Trouble("bad", "The broker counts shares whose executions it does not tell", text)
    elif problem:
        last = (
            " It never answered." if link.polled_at is None else f" It answered last at {_clock_time(link.polled_at)}."
        )
        step = "Orders and cancels go the same way, and wait. What the stream may lose is not found meanwhile."
        yield Trouble("warn", "The broker's REST does not answer the cross-check", f"{problem}.{last} {step}")


def _permissions(link: BrokerLink) -> Iterator[Trouble]:
    if link.trading_blocked:
        text = "Only orders that reduce a position are still sent to it, all others are denied: ask the broker why."
        yield Trouble("bad", "The broker has blocked trading in this account", text)
    if link.suspended and not link.suspended_by_us:
        text = "Somebody has set suspend_trade there. It was not this platform: take it back at the broker."
        yield Trouble("bad", "New orders are refused at the broker by the owner's own request", text)
    elif link.suspended:
        text = "Set together with the kill switch, and taken back with its release."
        yield Trouble("warn", "The broker takes no orders: the second lock is set", text)
    if link.suspend_problem:
        yield Trouble("warn", "The second lock at the broker cannot be set or taken back", f"{link.suspend_problem}.")


def _assets(link: BrokerLink) -> Iterator[Trouble]:
    if link.assets_problem:
        text = f"{link.assets_problem}. What was known before stays in force; it is asked again before the open."
        yield Trouble("warn", "What the broker trades and lends could not be read", text)


def _clock(link: BrokerLink) -> Iterator[Trouble]:
    skew = link.clock_skew_milliseconds
    if skew is not None and abs(skew) > MOST_SKEW_MILLISECONDS:
        side = "behind" if skew > 0 else "ahead of"
        title = f"Our clock is {abs(skew) // 1000} s {side} the broker's"
        yield Trouble("warn", title, "Sessions and ages of prices are judged by it: set this machine's clock.")


def _since(at: datetime | None) -> str:
    return "" if at is None else f" since {_clock_time(at)}"


def _clock_time(at: datetime) -> str:
    return f"{figures.utc(at)[11:19]} UTC"


def _age(at: datetime, now: datetime) -> str:
    return f"{max(int((now - at).total_seconds()), 0)} s"
