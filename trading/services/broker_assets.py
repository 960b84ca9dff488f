"""What the broker trades and lends, read before each open: it changes overnight, and refuses what we did not know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from execution.brokers.base import BrokerError
from execution.brokers.registry import alpaca_broker_for
from execution.models import Account, BrokerLink, Order, Position
from execution.services.broker_link import note_assets
from execution.states import OPEN
from marketdata import calendar
from marketdata.models import Instrument
from marketdata.services.permissions import Change, Told, apply_permissions, denied_by

if TYPE_CHECKING:
    from execution.brokers.alpaca.assets import Asset

log = structlog.get_logger(__name__)

BEGIN_BEFORE_OPEN = timedelta(minutes=55)
GIVE_UP_BEFORE_OPEN = timedelta(minutes=2)
TRY_AGAIN_AFTER = timedelta(minutes=2)
"""Wall time: a list that fails must not use up the requests of orders."""


def assets_are_due(*, account: Account, market_at: datetime, wall_now: datetime) -> bool:
    """Tell whether it is the hour before an open and the broker's list was not read for that session."""
    session = calendar.trading_date(market_at)
    opening = calendar.session_open(session)
    if not opening - BEGIN_BEFORE_OPEN <= market_at < opening - GIVE_UP_BEFORE_OPEN:
        return False
    link = BrokerLink.objects.filter(account=account).only("assets_for", "assets_problem", "assets_tried_at").first()
    if link is None:
        return True
    failed_at = link.assets_tried_at if link.assets_problem else None
    waiting = failed_at is not None and wall_now - failed_at < TRY_AGAIN_AFTER
    return link.assets_for != session and not waiting


def refresh_assets(*, account: Account, wall_now: datetime) -> list[Change]:
    """Bring the permissions of the desk's instruments in line with the broker's list; return what changed.

    A failure changes no instrument and is noted at the link. Locks: the instruments, then the link.
    :raises BrokerError: the list cannot be read; asked again by the schedule
    """
    session = calendar.trading_date(account.feed.market_now(wall_now))
    symbols = symbols_of_interest(account)
    try:
        broker = alpaca_broker_for(account)
        assets, no_short_sales = broker.assets(symbols), broker.why_no_short_sales()
    except BrokerError as failure:
        note_assets(account_id=account.pk, session=None, problem=failure.reason, wall_now=wall_now)
        log.warning("broker_assets_not_read", account=account.name, session=session.isoformat(), reason=failure.reason)
        raise
    changes = apply_permissions(teller=account.name, told=told_of(assets, no_short_sales=no_short_sales))
    note_assets(account_id=account.pk, session=session, problem="", wall_now=wall_now)
    for change in changes:
        log.warning(
            "instrument_permission_changed",
            symbol=change.symbol,
            permission=change.permission,
            denied_by=change.denied_by or None,
        )
    log.info("broker_assets_read", account=account.name, session=session.isoformat(), names=len(assets))
    return changes


def symbols_of_interest(account: Account) -> list[str]:
    """Return what the desk trades, holds or has orders for, and what this broker has switched off before."""
    held = Position.objects.filter(account=account).exclude(quantity=0).values("instrument_id")
    working = Order.objects.filter(account=account, status__in=sorted(OPEN)).values("instrument_id")
    rows: Iterable[str] = (
        Instrument.objects.filter(tradable=True)
        .union(
            Instrument.objects.filter(pk__in=held),
            Instrument.objects.filter(pk__in=working),
            Instrument.objects.filter(denied_by(account.name)),
        )
        .order_by("symbol")
        .values_list("symbol", flat=True)
    )
    return list(rows)


def told_of(assets: Sequence[Asset], *, no_short_sales: str) -> list[Told]:
    """Say the broker's list in reasons; empty is permission."""
    return [
        Told(
            symbol=asset.symbol,
            denials={
                "tradable": "" if asset.tradable else _why_not(asset),
                "shortable": no_short_sales or ("" if asset.shortable else "not shortable or hard to borrow"),
                "fractionable": "" if asset.fractionable else "whole shares only",
            },
        )
        for asset in assets
    ]


def _why_not(asset: Asset) -> str:
    return "not tradable" if asset.status == "active" else f"not tradable ({asset.status})"
