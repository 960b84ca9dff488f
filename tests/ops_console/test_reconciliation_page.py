"""The page that shows what differs from the broker, and where people decide about it."""

from datetime import timedelta
from typing import Any

from django.urls import reverse

from execution.models import Account, Break, ReconciliationRun
from marketdata.clock import wall_now
from tests.ops_console.conftest import Visitor

PAGE = "reconciliation"
REASON = "checked with the broker by telephone"


def differing(account: Account, **fields: Any) -> Break:
    now = wall_now()
    ReconciliationRun.objects.create(
        account=account, trigger="timer", started_at=now, finished_at=now, state="broken", open_breaks=1
    )
    values = {"kind": "position", "subject": "AAPL", "symbol": "AAPL", "ours": "0", "theirs": "5", "state": "open"}
    return Break.objects.create(account=account, first_seen_at=now, last_seen_at=now, **values | fields)


def test_an_account_in_order_says_so(desk: Account, visitor: Visitor) -> None:
    html = visitor("viewer").get(reverse(PAGE)).content.decode()
    assert "Nothing differs" in html
    assert "agree with the broker" in html


def test_a_break_is_shown_with_both_sides_and_decided_with_a_reason(desk: Account, visitor: Visitor) -> None:
    row = differing(desk, cause="bought by somebody else", proposal="book 5 shares under EXTERNAL")
    html = visitor("viewer").get(reverse(PAGE)).content.decode()
    assert "bought by somebody else" in html
    assert "book 5 shares under EXTERNAL" in html
    address, form = reverse("reconciliation-decide", args=[row.pk]), {"decision": "accept", "reason": REASON}
    assert visitor("trader").post(address, form).status_code == 403
    visitor("risk_officer").post(address, {"decision": "accept", "reason": "short"})
    assert Break.objects.get().state == "open"
    visitor("risk_officer").post(address, form)
    assert (Break.objects.get().state, Break.objects.get().reason) == ("accepted", REASON)


def test_run_now_compares(desk: Account, visitor: Visitor) -> None:
    answer = visitor("trader").post(reverse("reconciliation-run"), follow=True)
    assert "Compared 0 orders and 0 positions: clean." in answer.content.decode()
    assert ReconciliationRun.objects.get().trigger == "operator"


def test_a_decision_that_is_none_decides_nothing(desk: Account, visitor: Visitor) -> None:
    row = differing(desk)
    address = reverse("reconciliation-decide", args=[row.pk])
    for decision in ("", "forget"):
        form = {"decision": decision, "reason": REASON}
        answer = visitor("risk_officer").post(address, form, headers={"HX-Request": "true"})
        assert answer.status_code == 400
        assert "must be one of accept, ignore, repair" in answer.content.decode()
    assert Break.objects.get().state == "open"


def test_a_verdict_that_is_old_is_no_agreement(desk: Account, visitor: Visitor) -> None:
    desk.feed.kind = "real"
    desk.feed.save()
    Account.objects.filter(pk=desk.pk).update(reconciled_at=wall_now() - timedelta(minutes=4))
    html = visitor("viewer").get(reverse(PAGE)).content.decode()
    assert "The last verdict is old" in html
    assert "agree with the broker" not in html


def test_what_differs_and_closes_nothing_is_not_called_agreement(desk: Account, visitor: Visitor) -> None:
    differing(desk, kind="cash", subject="cash", symbol="", ours="100", theirs="90")
    html = visitor("viewer").get(reverse(PAGE)).content.decode()
    assert "Nothing of what differs closes the account" in html
