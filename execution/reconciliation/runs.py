"""Compare an account's book with its broker's, do what needs nobody's word, and say whether it may trade."""

from datetime import datetime, timedelta

import structlog

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import Broker, BrokerError, BrokerOrder, BrokerUnavailable
from execution.crashpoints import Point, crashpoint
from execution.models import Account, Break, Order, ReconciliationRun
from execution.reconciliation import breaks, compare
from execution.reconciliation.breaks import Sighting
from execution.reconciliation.cash import book_activities, opened_at
from execution.reconciliation.confirming import UNDECIDED, Findings, confirm
from execution.reconciliation.forced import ALERT as FORCED_ALERT
from execution.reconciliation.locking import one_at_a_time
from execution.reconciliation.prices import price_sightings
from execution.reconciliation.strangers import adopt_order, adopts
from execution.services.reports import apply_reports
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity

log = structlog.get_logger(__name__)
Trigger, State, Kind = ReconciliationRun.Trigger, ReconciliationRun.State, Break.Kind
SETTLE = timedelta(seconds=10)
"""Wall time that a broker's positions may lag behind its orders."""
LOOKS = 5
MAY_FILL = frozenset({"accepted", "partially_filled", "pending_cancel", "held"})


def reconcile(
    *, account: Account, broker: Broker, trigger: str, wall_now: datetime, started_by: str = ""
) -> ReconciliationRun:
    """Make one run and return it with its verdict; the account's state follows it.

    An account whose start-up gate is not through stays closed. Locks: an advisory one against a second run.
    :raises ReconciliationUnderWay: somebody else does it at this moment
    :raises BrokerError: there is no verdict, and nothing was concluded; the run says why
    """
    with one_at_a_time(account.pk):
        run = begin(account=account, trigger=trigger, wall_now=wall_now, started_by=started_by)
        try:
            apply_reports(account=account, broker=broker, wall_now=wall_now)
            listed = compare.listed_orders(account=account, broker=broker, wall_now=wall_now)
            return conclude(account=account, broker=broker, run=run, listed=listed, wall_now=wall_now)
        except BrokerError as failure:
            fail(run, account, failure, wall_now)
            raise


def begin(*, account: Account, trigger: str, wall_now: datetime, started_by: str = "") -> ReconciliationRun:
    """Note that a run begins; one whose process has died is over. The caller holds the advisory lock."""
    dead = ReconciliationRun.objects.filter(account=account, state=State.RUNNING)
    dead.update(state=State.FAILED, finished_at=wall_now, problem="its process ended before it was through")
    return ReconciliationRun.objects.create(
        account=account, trigger=trigger, started_by=started_by, started_at=wall_now
    )


def fail(run: ReconciliationRun, account: Account, failure: BrokerError, wall_now: datetime) -> None:
    """Keep why a run has no verdict; at a start, which is tried again each second, the same reason is kept once."""
    problem = (failure.reason or type(failure).__name__)[:300]
    raise_alert(
        code="reconciliation_failed",
        subject=account.scope,
        severity=AlertSeverity.WARNING,
        message=f"the books could not be compared: {problem}",
        now=wall_now,
    )
    before = ReconciliationRun.objects.filter(account=account, pk__lt=run.pk).first()
    if before is not None and (before.state, before.trigger, before.problem) == (State.FAILED, run.trigger, problem):
        run.delete()
        ReconciliationRun.objects.filter(pk=before.pk).update(finished_at=wall_now)
        return
    run.state, run.finished_at, run.problem = State.FAILED, wall_now, problem
    run.save()


def conclude(
    *, account: Account, broker: Broker, run: ReconciliationRun, listed: list[BrokerOrder], wall_now: datetime
) -> ReconciliationRun:
    """Compare everything, repair what needs nobody's word, and write the verdict to the run and the account.

    :raises BrokerError: an answer is missing, or the book moved while it was compared
    """
    found = Findings()
    settle = SETTLE if account.mode in NETWORK_MODES else timedelta(0)
    at_start = run.trigger == Trigger.START
    sightings = _orders(account, broker, listed, found, wall_now)
    sightings += _positions(account, broker, found, wall_now)
    unsettled = compare.unsettled_symbols(account=account, settle=settle, wall_now=wall_now)
    sightings += _cash(account, broker, found, wall_now, proves_nothing=bool(unsettled or sightings))
    seen = breaks.note(
        account=account,
        sightings=[each for each in sightings if at_start or each.symbol not in unsettled],
        passed_over={each.key for each in sightings},
        looked_at=(Kind.ORDER, Kind.FILL, Kind.POSITION, *(() if found.cash is None else (Kind.CASH,))),
        unsettled=unsettled,
        unasked=found.unasked,
        wall_now=wall_now,
    )
    for row in seen.values():
        confirm(account, broker, row, found, settle=settle, wall_now=wall_now)
    # What was passed over because it is too fresh differs all the same.
    rows = [seen.get(each.key) for each in sightings if each.kind != Kind.CASH]
    found.differs = any(row is None or row.state in UNDECIDED for row in rows)
    return _verdict(account, run, found, wall_now)


def _orders(
    account: Account,
    broker: Broker,
    listed: list[BrokerOrder],
    found: Findings,
    wall_now: datetime,
) -> list[Sighting]:
    """Adopt what is not in the book, ask for executions that were not told, and say what differs then."""
    seen = compare.look_at_orders(account=account, listed=listed, broker=broker, wall_now=wall_now)
    found.orders = len(seen.pairs) + len(seen.strangers)
    if adopts(account):
        opened = opened_at(account)
        for stranger in seen.strangers:
            # Of one that was over before, the shares are a transfer in kind, and the cash is in the opening.
            lately = stranger.filled_quantity and stranger.updated_at > opened
            if lately or stranger.status in MAY_FILL:
                found.adopted += adopt_order(account_id=account.pk, found=stranger, wall_now=wall_now) is not None
        if found.adopted:
            seen = compare.look_at_orders(account=account, listed=listed, broker=broker, wall_now=wall_now)
    told = 0
    for ours, theirs in seen.differing():
        if theirs.filled_quantity > ours.filled:
            told += broker.executions_of(
                client_order_id=ours.client_order_id,
                broker_order_id=theirs.broker_order_id,
                since=Order.objects.values_list("market_at", flat=True).get(pk=ours.pk),
                wall_now=wall_now,
            )
    if told:
        apply_reports(account=account, broker=broker, wall_now=wall_now)
        seen = compare.look_at_orders(account=account, listed=listed, broker=broker, wall_now=wall_now)
    found.unasked = seen.unasked
    fills = [
        compare.fill_sighting(ours, asked)
        for ours, theirs in seen.differing()
        if (asked := _now(broker, ours, theirs)) is not None
    ]
    differing = {ours.pk for ours, _theirs in seen.differing()}
    prices = price_sightings(account, [ours for ours, _theirs in seen.pairs if ours.pk not in differing])
    return fills + prices + [compare.order_sighting(ours) for ours in seen.unknown]


def _now(broker: Broker, ours: compare.Known, theirs: BrokerOrder) -> BrokerOrder | None:
    """Return what differs still: a list may be older than the fill that was booked meanwhile."""
    if theirs.filled_quantity > ours.filled:
        return theirs
    asked = broker.order(theirs.broker_order_id)
    return asked if asked is not None and asked.filled_quantity < ours.filled else None


def _positions(account: Account, broker: Broker, found: Findings, wall_now: datetime) -> list[Sighting]:
    """Compare positions; a fill between two looks is no difference, and has left a report to tell it by."""
    for look in range(1, LOOKS + 1):
        found.cursor = Account.objects.values_list("report_cursor", flat=True).get(pk=account.pk)
        differing, found.held, found.positions = compare.look_at_positions(account=account, broker=broker)
        last = not differing or look == LOOKS
        if last or not apply_reports(account=account, broker=broker, wall_now=wall_now):
            break
    for each in differing:
        log.error(
            "position_differs", account=account.name, symbol=each.symbol, book=str(each.ours), broker=str(each.theirs)
        )
    return [compare.position_sighting(each, {}) for each in differing]


def _cash(
    account: Account, broker: Broker, found: Findings, wall_now: datetime, *, proves_nothing: bool
) -> list[Sighting]:
    """Book what moved cash without a trade, and compare; while shares differ or are unsettled cash proves nothing."""
    found.booked = book_activities(account=account, broker=broker, wall_now=wall_now)
    if proves_nothing:
        return []
    found.cash, sighting = compare.cash_sighting(account=account, broker=broker)
    return [] if sighting is None else [sighting]


def _verdict(account: Account, run: ReconciliationRun, found: Findings, wall_now: datetime) -> ReconciliationRun:
    """Write the verdict; a book that has moved since it was compared gets none."""
    blocking = breaks.blocking(account)
    before = Account.objects.values_list("reconciliation", flat=True).get(pk=account.pk)
    closes_on_suspicion = run.trigger == Trigger.START or before == Account.Reconciliation.BROKEN
    broken = bool(blocking) or (closes_on_suspicion and found.differs)
    state = State.BROKEN if broken else State.CLEAN
    crashpoint(Point.RECOVERY_BEFORE_STATE)
    _write_state(account, run, found, broken=broken, before=before, wall_now=wall_now)
    crashpoint(Point.RECOVERY_AFTER_STATE)
    resolve_alert(code="reconciliation_failed", subject=account.scope, now=wall_now)
    if account.reconciliation == Account.Reconciliation.CLEAN:  # nobody's word is needed any more
        resolve_alert(code=FORCED_ALERT, subject=account.scope, now=wall_now)
    run.state, run.finished_at = state, wall_now
    run.orders_compared, run.positions_compared = found.orders, found.positions
    run.adopted, run.inferred, run.booked = found.adopted, found.inferred, found.booked
    run.open_breaks, run.cash_difference = len(blocking), found.cash
    run.save()
    log.info("reconciled", account=account.name, trigger=run.trigger, state=str(state), differs=found.differs)
    return run


def _write_state(
    account: Account, run: ReconciliationRun, found: Findings, *, broken: bool, before: str, wall_now: datetime
) -> None:
    R = Account.Reconciliation
    after = R.BROKEN if broken else R.CLEAN
    if before == R.PENDING and run.trigger != Trigger.START:
        return  # the gate of the start asks more than this run does
    if before == R.FORCED and broken:
        after = R.FORCED
    # Somebody else may have booked since the look, or refused to: then it was of another book.
    same = Account.objects.filter(pk=account.pk, report_cursor=found.cursor)
    if not same.update(reconciliation=after, reconciled_at=wall_now):
        raise BrokerUnavailable("more was reported while positions were compared", code="book_moved")
    account.reconciliation, account.reconciled_at = after, wall_now
