"""I10: no order waits for the broker's answer for long without somebody seeing it."""

from datetime import datetime, timedelta

from execution.invariants.violation import MOST, Violation
from execution.models import Account, BrokerLink
from execution.selectors import unknown_outcomes

I10 = "I10"
LONGEST = timedelta(seconds=30)


def check_unanswered(account: Account, *, wall_now: datetime, longest: timedelta = LONGEST) -> list[Violation]:
    """Find orders without an answer for longer than that (wall time), of which nothing in the book says why.

    An account that is closed, a line with a problem and an order with an error are shown on every page.
    """
    row = Account.objects.get(pk=account.pk)
    if row.reconciliation != Account.Reconciliation.CLEAN or _line_has_a_problem(account):
        return []
    silent = unknown_outcomes(account, wall_now=wall_now, older_than=longest).filter(error_code="")
    return [
        Violation(I10, f"order {order.pk}", f"sent at {order.submitted_at:%H:%M:%S} and not answered, no error noted")
        for order in silent.order_by("pk")[:MOST]
    ]


def _line_has_a_problem(account: Account) -> bool:
    link = BrokerLink.objects.filter(account=account).first()
    return link is not None and bool(link.poll_problem or link.identity_problem)
