"""The processes of an installation: one table, for whoever starts, watches or shows them."""

from dataclasses import dataclass

from django.conf import settings

from execution.brokers.alpaca_modes import NETWORK_MODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process. Those with a command of `manage.py` give signs of life; the others answer requests."""

    name: str
    command: str = ""
    light_seconds: int = 0
    """Silence after which its light on the page is red."""
    dead_seconds: int = 0
    """Silence after which it is believed dead; longer, so that a pause makes no alarm."""
    needs_broker: bool = False
    """It talks to a broker on the other side of a network, and has nothing to do without one."""
    trades: bool = True
    """Trading needs it; the silence of one that does research is told and stops nothing."""


PROCESSES = (
    Process(name="web"),
    Process(name="api"),
    Process(name="worker", command="qcluster", light_seconds=30, dead_seconds=60),  # only asked every ten seconds
    Process(name="clock", command="run_clock", light_seconds=10, dead_seconds=10),
    Process(name="stream", command="run_stream", light_seconds=5, dead_seconds=10),
    Process(name="dispatcher", command="run_dispatcher", light_seconds=3, dead_seconds=10),
    Process(name="trade_updates", command="run_trade_updates", light_seconds=5, dead_seconds=10, needs_broker=True),
    Process(name="watchdog", command="run_watchdog", light_seconds=5, dead_seconds=10),
    Process(name="jobs", command="run_jobs", light_seconds=15, dead_seconds=30, trades=False),
)


def needed_here() -> tuple[Process, ...]:
    """Return what the trading mode needs, in the order of its start."""
    has_line = settings.TRADING_MODE in NETWORK_MODES
    return tuple(process for process in PROCESSES if has_line or not process.needs_broker)


def watched_here() -> dict[str, Process]:
    """Return what the trading mode needs and gives signs of life, by name."""
    return {process.name: process for process in needed_here() if process.command}
