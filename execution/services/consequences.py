"""What follows from a judgement besides the order: people are told of soft limits, a strategy in a loop is stopped."""

from collections.abc import Sequence

import structlog

from execution.gateway.book import Book
from execution.gateway.rows import ItemRow
from execution.models import Account, Position, Strategy
from risk.services.alerts import raise_alert
from risk.states import AlertSeverity
from risk.types import Denial, DenialCode, OrderIntent

log = structlog.get_logger(__name__)
SOFT_LIMIT, STRATEGY_THROTTLED = "soft_limit", "strategy_throttled"


def follow(
    book: Book, row: ItemRow, *, intent: OrderIntent, denials: Sequence[Denial], warnings: Sequence[Denial]
) -> None:
    """Act on one judged intent, in the transaction that stores it; a replay of history tells nobody, stops nobody.

    Locks (besides the account): the alerts that are told, the strategy that is switched off and its position row.
    """
    if book.account.kind != Account.Kind.DESK:
        return
    for warning in warnings:
        raise_alert(
            code=SOFT_LIMIT,
            subject=" ".join(filter(None, (book.account.scope, f"rule:{warning.code.value}", warning.scope))),
            severity=AlertSeverity.WARNING,
            message=f"accepted over the soft limit {warning.limit}: {warning.message}",
            now=book.wall_now,
            detail=warning.as_dict() | {"strategy": intent.strategy, "symbol": intent.symbol},
        )
    for denial in denials:
        if denial.code == DenialCode.REPEATED_ORDERS:
            _switch_off(book, row, intent, denial)


def _switch_off(book: Book, row: ItemRow, intent: OrderIntent, denial: Denial) -> None:
    """Switch the strategy off until a person enables it; its row of orders starts anew then."""
    if row.strategy_id is None or row.instrument_id is None:
        return
    if not Strategy.objects.filter(pk=row.strategy_id, enabled=True).update(enabled=False):
        return
    lines = Position.objects.filter(
        account_id=book.account.id, strategy_id=row.strategy_id, instrument_id=row.instrument_id
    )
    lines.update(**{f"{intent.side}_run_count": 0, f"{intent.side}_run_until": None})
    log.error("strategy_throttled", strategy=intent.strategy, symbol=intent.symbol, observed=denial.observed)
    raise_alert(
        code=STRATEGY_THROTTLED,
        subject=f"{book.account.scope} strategy:{intent.strategy}",
        severity=AlertSeverity.CRITICAL,
        message=denial.message,
        now=book.wall_now,
        detail=denial.as_dict() | {"symbol": intent.symbol, "side": str(intent.side)},
    )
