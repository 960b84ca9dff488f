"""Note what goes wrong with the broker, in the transaction of what it means for an order; the breaker counts it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from execution.brokers.base import BrokerError
from execution.models import Account, OrderEvent
from execution.states import OrderStatus
from risk.models import BrokerFault

LONGEST_CODE, LONGEST_REASON = 64, 300


def note_rejects(events: Sequence[OrderEvent], *, wall_now: datetime) -> None:
    """Note each order that the broker rejects, whoever told of it: an answer or a report."""
    rejected = [event for event in events if event.to_status == OrderStatus.REJECTED]
    for account_id in sorted({event.order.account_id for event in rejected}):
        told = [
            (event.order.error_code, str(event.detail.get("reason") or event.order.error_message))
            for event in rejected
            if event.order.account_id == account_id
        ]
        _store(account_id, BrokerFault.Kind.REJECT, told, wall_now)


def note_errors(account_id: int, failures: Iterable[BrokerError], *, wall_now: datetime) -> None:
    """Note failures to talk to the broker; one that a whole batch met is one."""
    different = {id(failure): failure for failure in failures}
    told = [(failure.code or type(failure).__name__, failure.reason) for failure in different.values()]
    _store(account_id, BrokerFault.Kind.ERROR, told, wall_now)


def _store(account_id: int, kind: str, told: Sequence[tuple[str, str]], wall_now: datetime) -> None:
    if not told:
        return
    scope = Account.objects.only("name").get(pk=account_id).scope
    BrokerFault.objects.bulk_create(
        BrokerFault(scope=scope, kind=kind, code=code[:LONGEST_CODE], reason=reason[:LONGEST_REASON], at=wall_now)
        for code, reason in told
    )
