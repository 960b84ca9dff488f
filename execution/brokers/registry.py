"""Which broker serves an account: the one place that knows the adapters."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import Broker, BrokerNotConfigured
from execution.brokers.dry_run import DryRunBroker
from execution.brokers.paper import PaperBroker
from execution.models.accounts import Account

if TYPE_CHECKING:
    from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
    from execution.brokers.alpaca.line import Line
    from execution.services.updates import Update


class FrameReader(Protocol):
    """Reads what a broker pushes; None for what is no news. Nothing makes it raise."""

    def __call__(self, raw: str | bytes, *, received_at: datetime) -> Update | None:
        """Return what a frame tells; `received_at` stands in for a missing time."""
        ...


def broker_for(account: Account) -> Broker:
    """Return the account's broker. Fail-over is to no trading: a mode without an adapter gets nobody else's.

    :raises BrokerNotConfigured: there is no adapter or no credentials for the account's mode
    """
    if account.mode == Account.Mode.PAPER:
        return paper_broker_for(account)
    if account.mode == Account.Mode.DRY_RUN:
        return DryRunBroker(account.name, starting_cash=account.starting_cash)
    if account.mode in NETWORK_MODES:
        return alpaca_broker_for(account)
    raise BrokerNotConfigured(
        f"account {account.name}: no broker is configured for mode {account.mode}", code="broker_not_configured"
    )


def paper_broker_for(account: Account) -> PaperBroker:
    """Return the account at the built-in exchange, whose market the caller moves with `advance`.

    :raises BrokerNotConfigured: the account trades elsewhere
    """
    if account.mode != Account.Mode.PAPER:
        raise BrokerNotConfigured(
            f"account {account.name} trades in mode {account.mode}, not at the built-in exchange", code="not_paper"
        )
    return PaperBroker(account.name, starting_cash=account.starting_cash)


def alpaca_broker_for(account: Account) -> AlpacaBroker:
    """Return the account at Alpaca; every broker of the same keys in this process shares one line and one budget.

    :raises BrokerNotConfigured: the account trades elsewhere, or there are no keys for its mode
    """
    # The library takes long to load, and the built-in exchange does not need it.
    from execution.brokers.alpaca import AlpacaBroker, configuration_of
    from execution.services.inbox import reports_since, take_in

    return AlpacaBroker(
        _line_of(configuration_of(account.mode)),
        reports=partial(reports_since, account.pk),
        tell=partial(take_in, account.pk),
    )


def frame_reader_for(mode: str) -> FrameReader:
    """Return what reads the frames of the mode's broker.

    :raises BrokerNotConfigured: the mode's broker is in this house, and pushes nothing
    """
    if mode not in NETWORK_MODES:
        raise BrokerNotConfigured(f"mode {mode}: its broker pushes nothing", code="nothing_pushed")
    from execution.brokers.alpaca.events import read_frame

    return read_frame


@cache
def _line_of(configuration: AlpacaConfiguration) -> Line:
    from execution.brokers.alpaca.line import Line

    return Line(configuration)
