"""Take what a broker (or somebody between it and us) pushes, into the same inbox as the stream and REST."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from execution.brokers.registry import frame_reader_for
from execution.models import Account, BrokerMessage
from execution.services.updates import Update, take_updates

log = structlog.get_logger(__name__)
WEBHOOK = BrokerMessage.Source.WEBHOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a pushed body came to: facts that nobody had told, facts known already, and what no report was found in."""

    new: int
    known: int
    unreadable: int


def take_webhook(*, account: Account, body: bytes, wall_now: datetime) -> Delivery:
    """Store what a body of the broker's own form tells; the dispatcher books it as if the stream had told it.

    A body that says nothing we know is kept for people. Told twice, or by another teller before, it changes nothing.
    Lock: the link.
    :raises BrokerNotConfigured: the account's broker pushes nothing
    """
    update = frame_reader_for(account.mode)(body, received_at=wall_now)
    if update is None:
        return Delivery(new=0, known=0, unreadable=0)
    told = Update(message=replace(update.message, source=WEBHOOK), is_whole=update.is_whole)
    rows = take_updates(account_id=account.pk, updates=[told], wall_now=wall_now).rows
    reports = sum(bool(row.kind) for row in rows)
    if not told.message.kind:
        log.warning("webhook_without_report", account=account.name, reason=told.message.reason)
    return Delivery(
        new=reports,
        known=int(bool(told.message.kind) and not rows),
        unreadable=int(not told.message.kind),
    )
