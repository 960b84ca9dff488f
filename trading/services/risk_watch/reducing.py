"""Reduce by itself what the market has carried over a limit: off unless an account's `auto_reduce` is set.

One order at a time, sized to come back under the limit, through the gate like any other. An order that is refused is
asked for again after a pause and only so often; then people are told and nothing more is tried until it gets better.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

import structlog
from django.db import transaction
from django.db.models import F, QuerySet

from execution.errors import OrderConflict
from execution.models import Account, Order
from execution.services.orders import submit_order
from execution.states import OPEN
from execution.types import SubmitResult
from marketdata import calendar
from risk.exposure import HeldLine, Passed, Reduction, next_reduction, passed_limits
from risk.models import LimitBreach
from risk.selectors import is_engaged
from risk.services.alerts import raise_alert
from risk.states import AlertSeverity
from risk.types import LimitValues, OrderIntent, Origin
from trading.services.risk_watch.over_limits import REDUCTION_FAILED, key_of, subject_of
from trading.services.risk_watch.watch import Look

log = structlog.get_logger(__name__)
PAUSE = timedelta(seconds=30)
"""Wall time between two tries of one account."""
MOST_TRIES = 3
"""Tries of one breach that brought nothing, before people have to look; one more is counted once they are told."""


def reduce_one(*, account: Account, look: Look, breaches: Sequence[LimitBreach], wall_now: datetime) -> Order | None:
    """Ask for at most one order that brings a breach back under its limit; None when nothing is to be done now.

    Nothing is asked for while the kill switch of the whole desk or of the account is engaged, while the market is not
    in its session, or while an order of an earlier reduction is open. Locks: the breach, unless another has it; then as
    the submitting of an order.
    """
    values = look.limits.resolve(strategy="", symbol="").account
    if values.auto_reduce < 1 or not breaches or not _may_trade(account, look) or _paused(breaches, wall_now):
        return None
    passed = {(one.limit_name, one.symbol, one.strategy): one for one in passed_limits(look.view.lines, look.limits)}
    for breach in breaches:
        one = passed.get(key_of(breach))
        wanted = None if one is None else _next(one, look.view.lines, values)
        if wanted is None:
            continue
        if _tries(account, breach) >= MOST_TRIES:
            _give_up(breach, wall_now)
            continue
        return _ask(account, breach, wanted, wall_now)
    return None


def _may_trade(account: Account, look: Look) -> bool:
    if is_engaged("global") or is_engaged(account.scope):
        return False
    if calendar.market_phase(look.view.market_at) != "open":
        return False
    return not Order.objects.filter(account=account, origin=Origin.REDUCTION, status__in=sorted(OPEN)).exists()


def _paused(breaches: Sequence[LimitBreach], wall_now: datetime) -> bool:
    tried = [breach.last_try_at for breach in breaches if breach.last_try_at is not None]
    return bool(tried) and timedelta(0) <= wall_now - max(tried) < PAUSE


def _tries(account: Account, breach: LimitBreach) -> int:
    """Return how many tries in a row have brought nothing: one that traded begins the count anew."""
    if breach.tries == 0:
        return 0
    newest = _orders_of(account, breach).order_by("-id").first()
    if newest is not None and newest.filled_quantity > 0:
        LimitBreach.objects.filter(pk=breach.pk).update(tries=0)
        return 0
    return breach.tries


def _orders_of(account: Account, breach: LimitBreach) -> QuerySet[Order]:
    return Order.objects.filter(account=account, origin=Origin.REDUCTION, source_ref=source_of(breach))


def source_of(breach: LimitBreach) -> str:
    """Return what the orders of a breach name as their source."""
    return f"breach {breach.pk}"


def _next(one: Passed, lines: Sequence[HeldLine], limits: LimitValues) -> Reduction | None:
    """Return the next order, no larger than a single order may be."""
    wanted = next_reduction(one, lines)
    if wanted is None:
        return None
    line = next(each for each in lines if (each.strategy, each.symbol) == (wanted.strategy, wanted.symbol))
    most = limits.max_order_quantity
    if line.mark > 0:
        most = min(most, limits.max_order_notional / line.mark)
    quantity = min(wanted.quantity, _down_to_lot(most, line.lot_size))
    if quantity <= 0:
        return None
    return Reduction(one, wanted.strategy, wanted.symbol, wanted.side, quantity)


def _down_to_lot(quantity: Decimal, lot: Decimal) -> Decimal:
    return (quantity / lot).to_integral_value(ROUND_FLOOR) * lot if lot > 0 else quantity


def _ask(account: Account, breach: LimitBreach, wanted: Reduction, wall_now: datetime) -> Order | None:
    """Submit the order and count the try in one transaction; None when another watcher has tried meanwhile.

    The key counts the orders of the breach so far.
    """
    number = _orders_of(account, breach).count() + 1
    intent = OrderIntent(
        strategy=wanted.strategy,
        symbol=wanted.symbol,
        side=wanted.side,
        quantity=wanted.quantity,
        reduce_only=True,
        idempotency_key=f"reduction-{breach.pk}-{number}",
        origin=Origin.REDUCTION,
        source_ref=source_of(breach),
    )
    try:
        with transaction.atomic():
            if not _is_ours(breach):
                return None
            result = submit_order(intent=intent, account=account, wall_now=wall_now)
            _count(breach, wall_now)
    except OrderConflict:
        log.info("reduction_asked_for_elsewhere", breach_id=breach.pk, number=number)
        return None
    _report(breach, wanted, result)
    return result.order if result.accepted else None


def _is_ours(breach: LimitBreach) -> bool:
    """Lock the breach and tell whether it is as it was read: nobody has tried since, and nobody else tries now."""
    same = LimitBreach.objects.filter(pk=breach.pk, last_try_at=breach.last_try_at, over_at__isnull=True)
    return same.select_for_update(no_key=True, skip_locked=True).first() is not None


def _count(breach: LimitBreach, wall_now: datetime) -> None:
    LimitBreach.objects.filter(pk=breach.pk).update(tries=F("tries") + 1, last_try_at=wall_now)


def _report(breach: LimitBreach, wanted: Reduction, result: SubmitResult) -> None:
    log.warning(
        "reduction_asked_for",
        breach_id=breach.pk,
        symbol=wanted.symbol,
        side=str(wanted.side),
        quantity=f"{wanted.quantity:f}",
        accepted=result.accepted,
        codes=[denial.code.value for denial in result.denials],
    )


def _give_up(breach: LimitBreach, wall_now: datetime) -> None:
    """Tell people once that the automatic reduction does not get anywhere."""
    if not LimitBreach.objects.filter(pk=breach.pk, tries=MOST_TRIES).update(tries=F("tries") + 1):
        return
    raise_alert(
        code=REDUCTION_FAILED,
        subject=subject_of(breach),
        severity=AlertSeverity.CRITICAL,
        message=f"{MOST_TRIES} tries have not reduced it: {breach.path}. It is left to people.",
        now=wall_now,
        detail={"breach_id": breach.pk},
    )
