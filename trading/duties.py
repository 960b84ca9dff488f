"""What the clock does by itself, every so often: short, safe to repeat, and one's failure spares the others.

Work that asks a broker or takes long belongs into the worker's queue instead (`trading.services.schedule`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from execution.models import Account
from trading.services.data_duty import ask_for_features, ask_for_tick_keeping
from trading.services.portfolio_duty import ask_for_portfolio_look
from trading.services.reconciling import ask_for_reconciliation
from trading.services.risk_watch import watch_desk
from trading.services.shadow_duty import ask_for_shadows
from trading.services.slicing import ask_for_slices


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing to do for the desk's account, at most once in `every` (wall time)."""

    name: str
    every: timedelta
    perform: Callable[[Account, datetime], object]
    """Called with the account (its feed read with it) and the wall time."""


DUTIES: tuple[Duty, ...] = (
    Duty("risk_watch", timedelta(seconds=1), watch_desk),
    Duty("portfolio", timedelta(minutes=5), ask_for_portfolio_look),
    Duty("reconciliation", timedelta(seconds=1), ask_for_reconciliation),
    Duty("features", timedelta(seconds=5), ask_for_features),
    Duty("ticks", timedelta(hours=6), ask_for_tick_keeping),
    Duty("slices", timedelta(milliseconds=200), ask_for_slices),
    Duty("shadows", timedelta(seconds=10), ask_for_shadows),
)
