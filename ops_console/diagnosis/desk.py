"""The desk: is there data, is trading state there, does the book add up."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.invariants import check_account
from execution.models import Account, BrokerLink
from execution.selectors import cash_difference, desk_account, quantity_differences, reservation_drift
from execution.services.wishes import kept_wishes
from marketdata.models import CorporateAction, Instrument, Quote
from marketdata.selectors import coverage
from marketdata.types import FeedState
from ops_console.diagnosis import Diagnosis
from ops_console.snapshot.broker_line import described, troubles
from risk.models import GLOBAL_SCOPE
from risk.selectors import newest_breaker_event, newest_kill_event
from trading.invariants import check_runs

IMPORT = "manage.py import_sample"
START = "start the platform once: make up"
LONGEST_SILENCE_SECONDS = 60
SHOWN = 5


def check_bars(wall_now: datetime) -> Diagnosis:
    """The lake holds bars."""
    held = coverage()
    if held.is_empty():
        return Diagnosis("bars", f"none in {settings.LAKE_DIR}", IMPORT)
    first, last = held["first"].min(), held["last"].max()
    return Diagnosis("bars", f"{held['bars'].sum()} of {held.height} symbols, {first!s} to {last!s}")


def check_instruments(wall_now: datetime) -> Diagnosis:
    """Instruments and corporate actions are known, and each quoted name has a volume to be judged by."""
    names, actions = Instrument.objects.count(), CorporateAction.objects.count()
    if not names:
        return Diagnosis("instruments", "none", IMPORT)
    found = f"{names} instruments, {actions} corporate actions"
    account = desk_account(str(settings.TRADING_MODE))
    unjudged = Quote.objects.filter(
        feed=None if account is None else account.feed,
        average_daily_volume=None,
        instrument__average_daily_volume=None,
        instrument__tradable=True,
    )
    mute = list(unjudged.order_by("instrument__symbol").values_list("instrument__symbol", flat=True))
    if not mute:
        return Diagnosis("instruments", found)
    remedy = "import their bars: without an average daily volume their orders are denied"
    return Diagnosis("instruments", f"{found}; quoted without a volume: {', '.join(mute[:5])}", remedy)


def check_feed(wall_now: datetime) -> Diagnosis:
    """The desk's feed is live and was heard lately."""
    account = desk_account(str(settings.TRADING_MODE))
    if account is None:
        return Diagnosis("feed", "unknown: there is no desk yet", START)
    feed = account.feed
    silence = None if feed.last_tick_at is None else int((wall_now - feed.last_tick_at).total_seconds())
    heard = "never heard" if silence is None else f"heard {max(silence, 0)} s ago"
    found = f"{feed.described(wall_now)}: {feed.state}, {heard}"
    if feed.problem:
        found += f"; {feed.problem}"
    if feed.state == FeedState.STALE:
        return Diagnosis("feed", found, "the stream reconnects by itself; see docs/market_data.md")
    well = feed.state == FeedState.LIVE and silence is not None and silence <= LONGEST_SILENCE_SECONDS
    return Diagnosis("feed", found, "" if well else "see that the process `stream` runs: manage.py status")


def check_line(wall_now: datetime) -> Diagnosis:
    """A desk at a broker over a network hears of its orders, from the account that it knows."""
    mode = str(settings.TRADING_MODE)
    if mode not in NETWORK_MODES:
        return Diagnosis("broker line", f"none: mode {mode} trades here")
    account = desk_account(mode)
    if account is None:
        return Diagnosis("broker line", "unknown: there is no desk yet", START)
    link = BrokerLink.objects.filter(account=account).first()
    found = troubles(link, wall_now)
    if not found:
        return Diagnosis("broker line", described(link, wall_now))
    said = "; ".join(f"{one.title}: {one.text}" for one in found)
    return Diagnosis("broker line", said, "see that `trade_updates` runs (manage.py status), and what the broker says")


def check_trading_state(wall_now: datetime) -> Diagnosis:
    """Kill switch and breaker have a stored state; without one they count as engaged and tripped."""
    waiting = kept_wishes(settings.VAR_DIR)
    if waiting:
        found = f"{len(waiting)} engages of the kill switch wait on disk"
        return Diagnosis("trading state", found, 'manage.py kill_switch engage --reason "…" carries them out')
    account = desk_account(str(settings.TRADING_MODE))
    missing = []
    if newest_kill_event(GLOBAL_SCOPE) is None:
        missing.append("kill switch (counts as engaged)")
    if account is None or newest_breaker_event(account.scope) is None:
        missing.append("breaker (counts as tripped)")
    if missing:
        remedy = f"{START}; on a desk that has traded: find out where the rows went, then release and reset"
        return Diagnosis("trading state", f"missing: {', '.join(missing)}", remedy)
    return Diagnosis("trading state", "kill switch and breaker have a stored state")


def check_book(wall_now: datetime) -> Diagnosis:
    """Of every account: reservations are the sum of open orders, cash that of its entries, shares that of the fills."""
    accounts = list(Account.objects.order_by("name"))
    wrong = [text for account in accounts for text in _differences(account)]
    if not wrong:
        return Diagnosis("book", f"{len(accounts)} accounts add up")
    remedy = "engage the kill switch and compare with the broker before anything else is traded"
    return Diagnosis("book", "; ".join(wrong[:5]), remedy)


def check_invariants(wall_now: datetime) -> Diagnosis:
    """Of every account: what must hold whatever happens, as `execution.invariants` says it."""
    accounts = list(Account.objects.order_by("name"))
    broken = [
        f"{account.name}: {violation}"
        for account in accounts
        for violation in (*check_account(account, wall_now=wall_now), *check_runs(account, wall_now=wall_now))
    ]
    if not broken:
        return Diagnosis("invariants", f"all hold in {len(accounts)} accounts")
    more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    remedy = "engage the kill switch, keep the logs, and find out what has written that before anything is traded"
    return Diagnosis("invariants", "; ".join(broken[:SHOWN]) + more, remedy)


def _differences(account: Account) -> list[str]:
    found = []
    if drift := reservation_drift(account):
        found.append(f"{account.name}: reservations of {len(drift)} positions differ from their open orders")
    if (difference := cash_difference(account)) != Decimal(0):
        found.append(f"{account.name}: cash differs from its entries by {difference:f}")
    if shares := quantity_differences(account):
        found.append(f"{account.name}: shares of {len(shares)} positions differ from their fills")
    return found
