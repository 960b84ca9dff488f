"""The frame's cells: trading state, clock, figures, lights. Pure: the desk comes in, cells go out."""

from datetime import datetime, timedelta

from marketdata import calendar
from marketdata.types import FeedKind
from ops_console import figures
from ops_console.figures import NEW_YORK, NOTHING
from ops_console.snapshot.board import Cell, Topic
from ops_console.snapshot.broker_line import line_tone
from ops_console.snapshot.desk import Desk
from ops_console.snapshot.market import feed_tone
from risk.states import BreakerState, SwitchLevel
from trading.processes import PROCESSES

UNKNOWN = Cell(NOTHING, "unknown")
FULL_DAY = "16:00"

SILENCE = {process.name: process.light_seconds for process in PROCESSES if process.command}

ACCOUNT_KEYS = (
    *("equity", "day_pnl", "day_pnl_pct", "gross", "gross_pct", "net", "buying_power", "cash"),
    *("unrealized", "realized", "fees", "drawdown", "names"),
)
LEVEL_WORDS = {SwitchLevel.REDUCING: "reduce only", SwitchLevel.FLATTENING: "flattening"}
KILL_WORDS = {"on": "Kill switch ON", "off": "Kill switch off", "unknown": "Kill switch UNKNOWN"}
STATE_WORDS = {"active": "Active", "reducing": "Reduce only", "halted": "Halted", "unknown": "Unknown"}
STATE_TONES = {"active": "good", "reducing": "warn", "halted": "bad", "unknown": "unknown"}
BREAKER_TONES = {BreakerState.OPEN: "good", BreakerState.TRIPPED: "bad", BreakerState.QUIET_PERIOD: "warn"}
BREAKER_WORDS = {BreakerState.OPEN: "Not tripped", BreakerState.TRIPPED: "Tripped", BreakerState.QUIET_PERIOD: "Quiet"}
PHASES = {"pre": "Before the open", "open": "Open", "post": "After the close", "closed": "Closed"}


def header(desk: Desk) -> Topic:
    """Return every cell of the frame."""
    return Topic(cells={**_state(desk), **_clock(desk), **_account(desk), **lights(desk)})


def _state(desk: Desk) -> dict[str, Cell]:
    return {
        "kill.state": Cell(kill_word(desk), desk.kill_state),
        "kill.detail": Cell(kill_detail(desk)),
        "trading.state": Cell(STATE_WORDS[desk.trading_state], STATE_TONES[desk.trading_state]),
        "breaker.state": _breaker(desk),
        "prices.source": Cell("live") if desk.redis else Cell("live prices off: from the database", "warn"),
        "requests.count": Cell(str(len(desk.requests))),
        "orders.count": Cell(str(desk.pnl.summary.open_orders) if desk.pnl else ""),
    }


def kill_word(desk: Desk) -> str:
    """Say whether the switch is engaged, and how far where that is not a plain halt."""
    level = desk.level
    if level in (SwitchLevel.REDUCING, SwitchLevel.FLATTENING):
        return f"{KILL_WORDS[desk.kill_state]} · {LEVEL_WORDS[level]}"
    return KILL_WORDS[desk.kill_state]


def kill_detail(desk: Desk) -> str:
    """Say who turned the switch, when and why."""
    if desk.kill is None:
        return "the database does not answer: treat as stopped"
    status = desk.stops[0] if desk.stops else desk.kill[0]
    who = " and ".join(name for name in (status.operator, status.second_operator) if name)
    when = "" if status.at is None else f" {figures.utc(status.at)[5:16]} UTC"
    part = f" {status.scope}" if status.engaged and status.scope != "global" else ""
    text = ": ".join(piece for piece in (f"{who}{when}{part}".strip(), status.reason) if piece)
    stopped = ", ".join(item.scope.partition(":")[2] for item in desk.stopped_strategies)
    return f"{stopped} stopped \u00b7 {text}" if stopped and not desk.stops else text


def _breaker(desk: Desk) -> Cell:
    if desk.breaker is None:
        return Cell("Unknown", "unknown")
    status = desk.breaker
    if status.state == BreakerState.QUIET_PERIOD and status.quiet_until is not None:
        left = figures.duration(int((status.quiet_until - desk.wall_now).total_seconds()))
        return Cell(f"Quiet, {left}", "warn")
    return Cell(BREAKER_WORDS[status.state], BREAKER_TONES[status.state])


def _clock(desk: Desk) -> dict[str, Cell]:
    if desk.account is None or desk.market_at is None:
        return dict.fromkeys(("clock.kind", "clock.market", "clock.utc", "clock.phase"), UNKNOWN)
    at, feed = desk.market_at, desk.account.feed
    kind = "Market time"
    if feed.kind == FeedKind.REPLAY:
        pace = "paused" if feed.paused_at is not None else f"\u00d7{feed.speed.normalize():f}"
        kind = f"Replay {pace}"
    elif feed.kind == FeedKind.MANUAL:
        kind = "Set by hand"
    return {
        "clock.kind": Cell(kind),
        "clock.market": Cell(f"{at.astimezone(NEW_YORK):%a %Y-%m-%d %H:%M} New York"),
        "clock.utc": Cell(f"{at:%H:%M} UTC"),
        "clock.phase": Cell(phase_text(at)),
    }


def phase_text(at: datetime) -> str:
    """Say what the market does and until when: `Open, closes in 2 h 28 min`; an early close is told."""
    phase = calendar.market_phase(at)
    day = calendar.trading_date(at)
    if phase == "open":
        left = figures.duration(int((calendar.session_close(day) - at).total_seconds()))
        closing = calendar.session_close(day).astimezone(NEW_YORK).strftime("%H:%M")
        early = f", early close {closing}" if closing != FULL_DAY else ""
        return f"Open, closes in {left}{early}"
    opening = calendar.session_open(day)
    if opening > at and opening - at < timedelta(hours=24):
        return f"{PHASES[phase]}, opens in {figures.duration(int((opening - at).total_seconds()))}"
    return PHASES[phase]


def _account(desk: Desk) -> dict[str, Cell]:
    if desk.pnl is None:
        return {f"account.{key}": UNKNOWN for key in ACCOUNT_KEYS}
    now = desk.pnl.summary
    share = now.day_pnl / now.day_base_equity if now.day_base_equity else None
    use = now.gross_exposure / now.equity if now.equity > 0 else None
    held = "1 name held" if now.names == 1 else f"{now.names} names held"
    stale = f", {now.stale_marks} at a stale price" if now.stale_marks else ""
    return {
        "account.equity": Cell(figures.number(now.equity)),
        "account.day_pnl": Cell(figures.marked(now.day_pnl), figures.tone(now.day_pnl)),
        "account.day_pnl_pct": Cell(figures.percent(share), figures.tone(now.day_pnl)),
        "account.gross": Cell(figures.number(now.gross_exposure, 0)),
        "account.gross_pct": Cell(f"{figures.percent(use, 0).lstrip('+')} of equity"),
        "account.net": Cell(figures.signed(now.net_exposure, 0)),
        "account.buying_power": Cell(figures.number(now.buying_power, 0)),
        "account.cash": Cell(figures.number(now.cash)),
        "account.unrealized": Cell(figures.marked(now.unrealized_pnl), figures.tone(now.unrealized_pnl)),
        "account.realized": Cell(figures.marked(now.realized_pnl), figures.tone(now.realized_pnl)),
        "account.fees": Cell(figures.number(now.fees)),
        "account.drawdown": Cell(figures.percent(-now.drawdown), figures.tone(-now.drawdown, 4)),
        "account.names": Cell(f"{held}{stale}"),
    }


def lights(desk: Desk) -> dict[str, Cell]:
    """Return the lights: `good`, `warn`, `bad`, or `unknown` when there never was a sign of life."""
    at = figures.epoch_ms(desk.wall_now)
    found = {
        "light.database": Cell("Database", "good" if desk.database else "bad", at if desk.database else None),
        "light.redis": Cell("Redis", "good" if desk.redis else "bad", at if desk.redis else None),
        "light.feed": _feed_light(desk),
    }
    for process in ("worker", "dispatcher"):
        seen = desk.heartbeats.get(process)
        found[f"light.{process}"] = Cell(process.capitalize(), process_tone(desk, process), figures.epoch_ms(seen))
    if desk.has_line:
        heard = None if desk.link is None else figures.epoch_ms(desk.link.heard_at)
        tone = line_tone(desk.link, desk.wall_now) if desk.database else "unknown"
        found["light.broker"] = Cell("Broker", tone, heard)
    return found


def process_tone(desk: Desk, process: str) -> str:
    """Judge a process by its last sign of life."""
    age = desk.age_of(process)
    if age is None or not desk.database:
        return "unknown"
    return "good" if age <= SILENCE[process] else "bad"


def _feed_light(desk: Desk) -> Cell:
    if desk.account is None:
        return Cell("Feed", "unknown")
    feed = desk.account.feed
    at = figures.epoch_ms(feed.last_tick_at)
    if feed.last_tick_at is None or desk.age_of("stream") is None:
        return Cell("Feed", "unknown", at)
    return Cell("Feed", feed_tone(feed, process_tone(desk, "stream")), at)
