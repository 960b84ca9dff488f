"""Take what the broker reports into the book, each report once."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Count, Q

from execution.brokers.base import Broker, BrokerReport
from execution.crashpoints import Point, crashpoint
from execution.errors import IllegalTransition, OrderUnstorable
from execution.models import Account, Fill, Order, RefusedReport
from execution.reconciliation.adopting import after_adoption
from execution.reconciliation.inference import Inferences
from execution.services import legs, successors
from execution.services.booking import Execution, book_execution, book_status, learn_broker_id
from execution.services.journal import Journal
from execution.states import TERMINAL
from marketdata import calendar
from marketdata.models import Instrument
from risk.services.limits import restrict_instrument

log = structlog.get_logger(__name__)
BATCH = 500
UNKNOWN_ORDER = "unknown_order"
MOVES_SHARES = frozenset({"fill", "corrected"})


def apply_reports(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Book all reports after the account's cursor; returns how many were new.

    Every batch is one transaction together with the cursor, so a crash anywhere repeats nothing and loses nothing.
    """
    total = 0
    while True:
        cursor = Account.objects.values_list("report_cursor", flat=True).get(pk=account.pk)
        told = broker.reports_since(cursor, BATCH)
        reports = after_adoption(account=account, broker=broker, reports=told, wall_now=wall_now)
        booked = book_reports(account_id=account.pk, reports=reports, wall_now=wall_now) if reports else 0
        total += booked
        if booked:
            crashpoint(Point.REPORTS_AFTER_COMMIT)
        if len(reports) < BATCH or not booked:
            return total


@transaction.atomic
def book_reports(*, account_id: int, reports: Sequence[BrokerReport], wall_now: datetime) -> int:
    """Book a batch of consecutive reports and move the cursor with them; returns how many were new.

    What cannot be booked (no such order, one that was denied, more than was ordered, an execution taken back) is stored
    whole as refused, and its symbol is restricted until somebody has looked. Where shares have moved, the book differs
    from the broker's: the account is closed until a look at the positions finds them equal. What may be about a leg
    whose name at the broker is not known yet waits for the next call, with all that comes after it.
    Locks: account, orders, positions.
    """
    journal = Journal.lock(
        orders=_orders_of(account_id, reports),
        market_at=reports[-1].at,
        wall_now=wall_now,
        account_id=account_id,
    )
    account = journal.account
    assert account is not None, "the journal was asked for the account's lock"
    named = _Named(journal)
    pairs = successors.Pairs.completed(journal)
    inferences = Inferences(journal.orders)
    booked = _booked_executions(journal, reports) | inferences.told()
    fresh = _understood(account, named, [report for report in reports if report.sequence > account.report_cursor])
    for report in fresh:
        order = named.order(report)
        try:
            pairs.told(_book(journal, order, report, booked, inferences), report)
        except (OrderUnstorable, IllegalTransition) as refusal:
            _refuse(journal, order, report, str(refusal))
    if fresh:
        account.report_cursor = fresh[-1].sequence
        crashpoint(Point.REPORTS_BEFORE_SAVE)
        journal.save()
        crashpoint(Point.REPORTS_BEFORE_CURSOR)
        account.save(update_fields=["cash", "report_cursor", *(["reconciliation"] if _is_broken(account) else [])])
        crashpoint(Point.REPORTS_BEFORE_COMMIT)
    return len(fresh)


class _Named:
    """Locked orders by the names that a report may call them: ours, or for a leg the broker's."""

    def __init__(self, journal: Journal) -> None:
        self._by_client_id = {order.client_order_id: order for order in journal.orders.values()}
        self._legs = {
            leg.broker_order_id: leg for leg in journal.orders.values() if leg.leg_role and leg.broker_order_id
        }

    def order(self, report: BrokerReport) -> Order | None:
        """Return the order that the report is about."""
        return self._by_client_id.get(report.client_order_id) or self._legs.get(report.broker_order_id)


def _orders_of(account_id: int, reports: Sequence[BrokerReport]) -> Q:
    """Match what the reports are about, with the other of a pair: the end of one may let the other work on."""
    ids = {report.client_order_id for report in reports}
    wanted = Q(account_id=account_id, client_order_id__in=ids)
    found = Order.objects.order_by().filter(wanted)
    counts = found.aggregate(all=Count("pk"), paired=Count("pk", filter=successors.MAY_BE_PAIRED))
    if counts["all"] < len(ids) and (named := legs.named_by_broker(account_id, reports)):
        wanted |= Q(pk__in=named)
    return successors.with_partners(wanted) if counts["paired"] else wanted


def _understood(account: Account, named: _Named, reports: list[BrokerReport]) -> list[BrokerReport]:
    """Return the reports up to the first one that cannot be understood yet."""
    for place, report in enumerate(reports):
        if named.order(report) is None:
            # In this order: a name that is learnt between the two looks is seen by the second.
            waits = legs.awaits_names(account.pk) or legs.named_by_broker(account.pk, [report])
            return reports[:place] if waits else reports
    return reports


def _booked_executions(journal: Journal, reports: Sequence[BrokerReport]) -> set[tuple[int, str]]:
    """Return order and id of the executions that are in the book: venues have given one id to several orders."""
    ids = [report.broker_execution_id for report in reports if report.broker_execution_id]
    if not ids:
        return set()
    found = Fill.objects.filter(order__in=list(journal.orders), broker_execution_id__in=ids)
    return set(found.values_list("order_id", "broker_execution_id"))


def _book(
    journal: Journal,
    order: Order | None,
    report: BrokerReport,
    booked: set[tuple[int, str]],
    inferences: Inferences,
) -> Order:
    if order is None:
        raise OrderUnstorable(UNKNOWN_ORDER)
    journal.market_at = report.at
    learn_broker_id(journal, order, report.broker_order_id)
    if report.kind == "corrected":
        raise OrderUnstorable(f"correction: {report.reason}")
    if report.kind != "fill":
        book_status(journal, order, report)
        if report.kind == "accepted":
            legs.activated(journal, order)
        return order
    execution = Execution.of(report)
    if (order.pk, execution.execution_id) not in booked:
        if order.status in TERMINAL:
            log.warning("fill_after_the_end", order_id=order.pk, status=order.status, quantity=str(execution.quantity))
        new = inferences.supersede(journal, order, execution, report.cumulative_quantity)
        if new is not None:
            book_execution(journal, order, new, trading_date=calendar.trading_date(report.at))
        booked.add((order.pk, execution.execution_id))
    return order


def _refuse(journal: Journal, order: Order | None, report: BrokerReport, reason: str) -> None:
    account = journal.account
    assert account is not None, "the journal was asked for the account's lock"
    RefusedReport.objects.create(account=account, sequence=report.sequence, reason=reason[:64], payload=asdict(report))
    log.error("broker_report_refused", account=account.name, sequence=report.sequence, reason=reason)
    moves = report.kind in MOVES_SHARES
    if moves:
        account.reconciliation = Account.Reconciliation.BROKEN
    instrument = _instrument(order, report) if order is not None or moves else None
    if instrument is not None:
        restrict_instrument(
            instrument=instrument,
            operator="system",
            reason=f"a broker report could not be booked: {reason}"[:500],
            now=journal.wall_now,
        )


def _instrument(order: Order | None, report: BrokerReport) -> Instrument | None:
    if order is not None:
        return order.instrument
    return Instrument.objects.filter(symbol=report.symbol).first()


def _is_broken(account: Account) -> bool:
    return account.reconciliation == Account.Reconciliation.BROKEN
