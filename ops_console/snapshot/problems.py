"""What is wrong and where to fix it; the worst first. Pure: the desk comes in, problems go out."""

from dataclasses import dataclass

from execution.models import Account
from marketdata.types import FeedKind
from ops_console import figures
from ops_console.snapshot.broker_line import troubles
from ops_console.snapshot.desk import Desk
from ops_console.snapshot.header import SILENCE, process_tone
from ops_console.snapshot.market import feed_problem, halt_problem
from risk.states import AlertSeverity, BreakerState
from trading.processes import PROCESSES

NOT_CURRENT = "Nothing on this page is current. Orders at a broker go on: stop them there if you have to."
RESEARCH = {process.name for process in PROCESSES if not process.trades}
WISH_STEP = "It is carried out as soon as the database answers."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that needs a person: what it is, what to do next, and the page where (a URL name, or none)."""

    tone: str
    title: str
    next_step: str
    url_name: str = ""
    action: str = ""


def problems(desk: Desk) -> list[Problem]:
    """List everything that is wrong with the desk now."""
    if not desk.database:
        return [Problem("bad", "The database does not answer", NOT_CURRENT), *_wishes(desk)]
    orders = [*_cancels(desk), *_unanswered(desk)]
    found = [*_wishes(desk), *_trading(desk), *orders, *_account(desk), *_line(desk), *_processes(desk), *_alerts(desk)]
    return sorted(found, key=lambda problem: problem.tone != "bad")


def _wishes(desk: Desk) -> list[Problem]:
    return [
        Problem("bad", f"{wish.operator} wanted {wish.scope} stopped; not stored yet", f"{wish.reason}. {WISH_STEP}")
        for wish in desk.wishes
    ]


def _alerts(desk: Desk) -> list[Problem]:
    """Alerts that nobody has seen yet."""
    tones = {AlertSeverity.CRITICAL: "bad", AlertSeverity.WARNING: "warn"}
    return [
        Problem(
            tones[AlertSeverity(alert.severity)], alert.message, f"{alert.subject} · {alert.code}", "alerts", "Alerts"
        )
        for alert in desk.alerts
        if alert.severity in tones
    ]


def _trading(desk: Desk) -> list[Problem]:
    found = [
        Problem("bad", f"Trading is stopped: {status.scope}", status.reason, "risk", "Risk")
        for status in [*desk.stops, *desk.stopped_strategies]
    ]
    for request in desk.requests:
        title = f"{request.requested_by} asks to release the kill switch ({request.scope})"
        found.append(Problem("warn", title, f"{request.reason} \u2014 another operator decides.", "risk", "Decide"))
    if desk.breaker is not None and desk.breaker.state != BreakerState.OPEN:
        word = "tripped" if desk.breaker.state == BreakerState.TRIPPED else "in its quiet period"
        step = f"{desk.breaker.reason}. Only orders that reduce a position pass."
        found.append(Problem("bad" if word == "tripped" else "warn", f"The breaker is {word}", step, "risk", "Breaker"))
    return found


def _cancels(desk: Desk) -> list[Problem]:
    """Name the order whose cancel has been under way the longest; the others are counted."""
    if not desk.late_cancels:
        return []
    oldest, others = desk.late_cancels[0], len(desk.late_cancels) - 1
    asked = oldest.cancel_requested_at or desk.wall_now
    waited = figures.duration(int((desk.wall_now - asked).total_seconds()))
    order = f"{oldest.side} {oldest.leaves_quantity.normalize():f} {oldest.instrument.symbol}"
    title = f"A cancel is not done after {waited}: {order}"
    if others:
        title += f", and {others} more {'cancel' if others == 1 else 'cancels'}"
    step = "Until the broker says that it is over it may still fill, and its shares stay held: do not sell them twice."
    return [Problem("bad", title, step, "orders", "Orders")]


def _unanswered(desk: Desk) -> list[Problem]:
    """Name the order that has waited the longest for the broker's answer; the others are counted."""
    if not desk.unanswered:
        return []
    oldest, others = desk.unanswered[0], len(desk.unanswered) - 1
    waited = figures.duration(int((desk.wall_now - (oldest.submitted_at or desk.wall_now)).total_seconds()))
    order = f"{oldest.side} {oldest.leaves_quantity.normalize():f} {oldest.instrument.symbol}"
    title = f"The broker has not answered for {waited}: {order}"
    if others:
        title += f", and {others} more {'order' if others == 1 else 'orders'}"
    step = "It may be there. It is not sent again: the broker is asked for it until it is known."
    return [Problem("warn", title, step, "orders", "Orders")]


def _account(desk: Desk) -> list[Problem]:
    if desk.account is None or desk.pnl is None:
        step = "Start the platform once with its set-up; it opens the account and its feed."
        return [Problem("bad", f"There is no account for the mode {desk.mode}", step)]
    found: list[Problem] = []
    if desk.account.reconciliation != Account.Reconciliation.CLEAN:
        verb = "" if desk.account.reconciliation == Account.Reconciliation.BROKEN else "is "
        title = f"The account {verb}{desk.account.get_reconciliation_display()}"
        found.append(Problem("bad", title, "No order leaves before both books agree.", "risk", "Risk"))
    found += _refused(desk)
    if desk.pnl.summary.stale_marks:
        count = desk.pnl.summary.stale_marks
        title = f"{count} held {'position has' if count == 1 else 'positions have'} no fresh price"
        found.append(Problem("warn", title, "P&L is at old marks. Look at the feed first.", "positions", "Positions"))
    feed = desk.account.feed
    market = (feed_problem(feed), halt_problem(desk.halts))
    found += [Problem(*told) for told in market if told is not None]
    if feed.kind == FeedKind.REPLAY and feed.end_at and desk.market_at and desk.market_at >= feed.end_at:
        step = "No new prices come; set another range to go on."
        found.append(Problem("warn", "The replay has reached its end", step))
    return found


def _refused(desk: Desk) -> list[Problem]:
    """Name the newest execution that could not be booked; the others are counted."""
    if not desk.refused:
        return []
    newest, others = desk.refused[0], len(desk.refused) - 1
    symbol = newest.payload.get("symbol") or newest.payload.get("client_order_id") or "no symbol"
    title = f"An execution could not be booked: {newest.reason} ({symbol})"
    if others:
        title += f", and {others} more since yesterday"
    step = "It is kept among the refused reports. The name can only be reduced until its restriction is lifted."
    return [Problem("bad", title, step, "risk", "Risk")]


def _line(desk: Desk) -> list[Problem]:
    if not desk.has_line or desk.account is None:
        return []
    return [Problem(found.tone, found.title, found.text) for found in troubles(desk.link, desk.wall_now)]


def _processes(desk: Desk) -> list[Problem]:
    found: list[Problem] = []
    meaning = {
        "stream": ("No prices come in", "Orders are denied once prices are stale."),
        "dispatcher": ("Orders are not being sent", "They wait as pending, and go out when it is back."),
        "clock": (
            "Nothing is scheduled",
            "No runs start, no slices are sent, the breaker trips by itself no more.",
        ),
        "worker": ("Background work stands still", "Runs, slices, reports and reconciliation wait."),
        "watchdog": ("Nobody watches the processes", "A dead scheduler would not stop trading by itself."),
        "jobs": ("Long work stands still", "Backtests, trainings and imports wait. Trading does not need it."),
    }
    for process, (title, step) in meaning.items():
        tone = process_tone(desk, process)
        if tone == "good":
            continue
        age = desk.age_of(process)
        seen = "never seen" if age is None else f"silent for {figures.duration(age)} (limit {SILENCE[process]} s)"
        worst = "bad" if tone == "bad" and process not in RESEARCH else "warn"
        found.append(Problem(worst, title, f"The {process} process is {seen}. {step}"))
    if not desk.redis:
        step = "Prices come from the database, once a second. Orders and the kill switch do not need Redis."
        found.append(Problem("warn", "Live prices are off: Redis does not answer", step))
    return found
