"""Adopt the orders that reports are about and the book has never seen, before these reports are booked."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from execution.brokers.base import Broker, BrokerError, BrokerOrder, BrokerReport, BrokerUnreachable
from execution.models import Account, Order
from execution.reconciliation.strangers import adopt_order, adopts
from execution.services import legs

log = structlog.get_logger(__name__)
LAG = timedelta(seconds=30)
"""Market time that a broker may have nothing to say about an order of which it has just told."""


def after_adoption(
    *, account: Account, broker: Broker, reports: Sequence[BrokerReport], wall_now: datetime
) -> Sequence[BrokerReport]:
    """Adopt what is unknown among the reports' orders, and return the reports that can be booked now.

    Those behind one whose order cannot be asked about wait, as long as nobody answers; and for a while also where the
    broker answers with an error, or that it does not know what it has just told of. What it still does not know then is
    left to be refused. Broker calls run outside every transaction.
    """
    unknown = _unknown(account.pk, reports)
    if not unknown or not _adopts(account.pk) or legs.awaits_names(account.pk):
        return reports
    asked: dict[str, bool] = {}
    for place, report in enumerate(reports):
        name = report.broker_order_id or report.client_order_id
        if report.sequence not in unknown or name in asked:
            continue
        try:
            found = _found(broker, report)
        except BrokerUnreachable as error:
            log.warning("external_order_waits", account=account.name, order=name, reason=error.reason)
            return reports[:place]
        except BrokerError as error:  # about this one alone: it must not keep the others
            log.error("external_order_not_told", account=account.name, order=name, reason=error.reason)
            found = None
        if found is None and account.feed.market_now(wall_now) - report.at < LAG:
            log.info("external_order_not_known_yet", account=account.name, order=name)
            return reports[:place]
        asked[name] = found is not None
        if found is not None:
            adopt_order(account_id=account.pk, found=found, wall_now=wall_now, told_by_reports=True)
    return reports


def _found(broker: Broker, report: BrokerReport) -> BrokerOrder | None:
    found = broker.order(report.broker_order_id) if report.broker_order_id else None
    return found or (broker.find(report.client_order_id) if report.client_order_id else None)


def _unknown(account_id: int, reports: Sequence[BrokerReport]) -> set[int]:
    """Return the sequences of the reports whose orders are not in the book."""
    names = {report.client_order_id for report in reports} - {""}
    ids = {report.broker_order_id for report in reports} - {""}
    if not names and not ids:
        return set()
    known = Order.objects.filter(account_id=account_id, client_order_id__in=names)
    by_name = set(known.values_list("client_order_id", flat=True))
    if by_name == {report.client_order_id for report in reports}:
        return set()
    found = Order.objects.filter(~Q(broker_order_id=""), account_id=account_id, broker_order_id__in=ids)
    by_id = set(found.values_list("broker_order_id", flat=True))
    return {
        report.sequence
        for report in reports
        if report.client_order_id not in by_name and report.broker_order_id not in by_id
    }


def _adopts(account_id: int) -> bool:
    return adopts(Account.objects.only("strangers").get(pk=account_id))
