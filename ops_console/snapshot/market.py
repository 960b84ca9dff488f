"""What the exchanges and the feed say about the prices: halts, bands, and what is wrong with the feed. Pure."""

from collections.abc import Iterable
from datetime import date

from marketdata import calendar
from marketdata.models import Feed, TradingStatus
from marketdata.types import FeedState
from ops_console import figures
from ops_console.snapshot.board import Cell

FEED_TONES = {FeedState.LIVE: "good", FeedState.STALE: "warn", FeedState.DOWN: "bad"}
FEED_TITLES = {
    FeedState.LIVE: "The market feed does not give everything",
    FeedState.STALE: "The market stream is away: prices come by REST",
    FeedState.DOWN: "No prices come in",
}
FEED_STEPS = {
    FeedState.LIVE: "Trading goes on with what there is.",
    FeedState.STALE: "They are some seconds old at most; halts and price bands are not told meanwhile.",
    FeedState.DOWN: "Orders are denied once prices are stale.",
}


def status_cells(symbol: str, status: TradingStatus | None, session: date) -> dict[str, Cell]:
    """Write how an instrument trades: halted or not, and the price band of the session shown."""
    return {f"price.{symbol}.status": _halt(status), f"price.{symbol}.band": _band(status, session)}


def feed_problem(feed: Feed) -> tuple[str, str, str] | None:
    """Return tone, title and next step of what is wrong with a live feed; None when nothing is."""
    if not feed.problem or not feed.source:
        return None
    state = FeedState(feed.state)
    since = "" if feed.problem_at is None else f" since {figures.utc(feed.problem_at)[11:16]} UTC"
    tone = "bad" if state == FeedState.DOWN else "warn"
    return tone, FEED_TITLES[state], f"{feed.source}: {feed.problem}{since}. {FEED_STEPS[state]}"


def halt_problem(halts: Iterable[TradingStatus]) -> tuple[str, str, str] | None:
    """Return tone, title and next step for what is halted; None when nothing is."""
    found = list(halts)
    if not found:
        return None
    names = ", ".join(_named(status) for status in found)
    verb = "is" if len(found) == 1 else "are"
    symbols = ", ".join(status.instrument.symbol for status in found)
    return "warn", f"{symbols} {verb} halted", f"{names}. Only orders that reduce a position pass."


def feed_tone(feed: Feed, process: str) -> str:
    """Judge a feed: `good` while it is live, `warn` while prices are polled, `bad` without; needs its process alive."""
    return FEED_TONES[FeedState(feed.state)] if process == "good" else "bad"


def _named(status: TradingStatus) -> str:
    reason = status.reason_text or status.status_text or status.reason or "no reason given"
    return f"{status.instrument.symbol}: {reason}"


def _halt(status: TradingStatus | None) -> Cell:
    if status is None or not status.halted:
        return Cell("")
    return Cell(f"halted {status.reason}".strip(), "bad")


def _band(status: TradingStatus | None, session: date) -> Cell:
    if status is None or status.limit_down is None or status.bands_at is None:
        return Cell("")
    if calendar.trading_date(status.bands_at) != session:
        return Cell("")
    return Cell(f"{figures.number(status.limit_down)}\u2013{figures.number(status.limit_up)}")
