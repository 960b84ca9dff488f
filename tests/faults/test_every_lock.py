"""Each lock that no other module tries: with it two at once do what one would have done, without it they do not.

docs/proof.md lists every lock and every fence with the test that fails without it.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from execution.brokers.base import BrokerActivity, BrokerOrder
from execution.halting import procedure as halts
from execution.halting import residue
from execution.models import (
    Account,
    CashEntry,
    Fill,
    ForcedCompletion,
    HaltResidue,
    Order,
    OrderEvent,
    ParentEvent,
    ParentOrder,
    Position,
)
from execution.models.broker import BrokerLink
from execution.models.reconciliation import Break, ReconciliationRun
from execution.reconciliation import breaks, cash, corrections, forced, prices, strangers
from execution.reconciliation.arithmetic import Difference
from execution.reconciliation.deciding import accept as accept_break
from execution.reconciliation.deciding import repair
from execution.selectors import reservation_drift
from execution.services import broker_identity, corporate_actions, groups
from execution.services.cancels import request_cancel
from execution.services.journal import Journal
from execution.services.slices import steering
from execution.services.sweep import cancel_stopped
from marketdata.models import CorporateAction, Instrument
from risk.models import Alert, LimitOverride, Release
from risk.services import kill_switch, overrides, releases
from tests.execution.cases import accepted_order, desk, filled_order
from tests.execution.group_cases import make_group
from tests.execution.reconciliation.test_runs import Runs
from tests.execution.slicing.desk import SlicingDesk
from tests.execution.test_broker_identity import FIRST, Answering
from tests.factories import MARKET_AT, WALL_NOW, D, allow, allow_bursts, make_account, make_order
from tests.faults.lock_cases import (
    MINUTE,
    REASON,
    Calls,
    Race,
    a_halt,
    both,
    during,
    errors,
    no_advisory_lock,
    no_gate_lock,
    no_rows_locked,
    unlocked,
)

pytestmark = pytest.mark.django_db(transaction=True)
SECOND_LINE, NOT_PENDING = "IntegrityError", "RequestNotPending"
TWICE = (1, [SECOND_LINE])
"""Both wrote, and a constraint of the database kept it to one."""
FORCES, CASH = ForcedCompletion.objects, CashEntry.objects
EX_DATE = datetime(2012, 6, 15, 13, 0, tzinfo=UTC)


def two_groups() -> Calls:
    """Send two brackets of $1,000 at once where one has room."""
    account = make_account()
    allow_bursts()
    allow(max_gross_notional=1_500)

    def send(name: str, limit_price: str) -> Any:
        entry, legs = make_group(client_order_id=name, limit_price=D(limit_price))
        return groups.submit_group(entry=entry, legs=legs, account=account, wall_now=WALL_NOW)

    return both(send, {"name": "one", "limit_price": "100"}, {"name": "two", "limit_price": "99.99"})


def accepted_groups(answers: list[Any]) -> int:
    return sum(answer[0].accepted for answer in answers)


def two_sweeps() -> Calls:
    """Let two look at once what an engaged switch has left open: the dispatcher, and a command beside it."""
    account, broker = desk()
    accepted_order(account, broker)
    kill_switch.engage(scope="global", operator="ann", reason=REASON, source="console", now=WALL_NOW)
    sweep = {"account": account, "wall_now": WALL_NOW}
    return both(cancel_stopped, sweep, sweep)


def cancels_asked(answers: list[Any]) -> tuple[int, list[str]]:
    return OrderEvent.objects.filter(to_status="pending_cancel").count(), errors(answers)


def two_cancels_of_a_line() -> Calls:
    """Cancel two unsent orders of one position line at once: both take their reservation off one row."""
    account = make_account()
    allow_bursts()
    orders = [make_order(account, client_order_id=name) for name in ("one", "two")]
    return both(request_cancel, *({"order": order, "operator": "ann", "wall_now": WALL_NOW} for order in orders))


def drifted(_answers: list[Any]) -> int:
    return len(reservation_drift(Account.objects.get()))


def two_mornings() -> Calls:
    """Apply a dividend of the day from two processes at once."""
    account, broker = desk()
    filled_order(account, broker)
    instrument = Instrument.objects.get(symbol="AAPL")
    CorporateAction.objects.create(
        instrument=instrument, ex_date=EX_DATE.date(), kind="dividend", source="test", cash_amount=D(1)
    )
    account.feed.market_at = EX_DATE
    account.feed.save()
    morning = {"account": account, "day": EX_DATE.date(), "wall_now": WALL_NOW}
    return both(corporate_actions.apply_corporate_actions, morning, morning)


def dividends(answers: list[Any]) -> tuple[int, list[str]]:
    return CashEntry.objects.filter(kind="dividend").count(), errors(answers)


def two_tellers_of_a_fee() -> Calls:
    """Book the same fee from two looks at the broker at once."""
    account = make_account()
    fee = BrokerActivity(activity_id="fee-1", kind="FEE", means="fee", amount=D(-1), at=MARKET_AT)
    look = {"told": [fee], "account": account, "wall_now": WALL_NOW}
    return both(cash._book, look, look)


def fees(answers: list[Any]) -> tuple[int, list[str]]:
    return CashEntry.objects.filter(kind="fee").count(), errors(answers)


def two_first_answers() -> Calls:
    """Let two accounts of a broker answer first at once."""
    account = make_account(mode=Account.Mode.ALPACA_PAPER)
    broker_identity.link_of(account)
    other = replace(FIRST, account_number="PA9999", account_id=str(uuid.UUID(int=9)))
    ask = broker_identity.verify_identity
    return both(
        ask,
        {"account": account, "broker": Answering(told=FIRST), "wall_now": WALL_NOW},
        {"account": account, "broker": Answering(told=other), "wall_now": WALL_NOW},
    )


def two_corrections() -> Calls:
    """Take the same execution back, two people at once."""
    account, broker = desk()
    filled_order(account, broker)
    fill = Fill.objects.get()
    busted = {"account_id": account.pk, "fill_id": fill.pk, "quantity": D(10), "reason": REASON, "wall_now": WALL_NOW}
    return both(corrections.take_back, busted | {"operator": "ann"}, busted | {"operator": "bob"})


def two_prices() -> Calls:
    """Give the same execution its new price, two people at once."""
    account, broker = desk()
    filled_order(account, broker)
    told = {"account_id": account.pk, "fill_id": Fill.objects.get().pk, "price": D(99)}
    by = {"reason": REASON, "wall_now": WALL_NOW}
    return both(prices.change_price, told | by | {"operator": "ann"}, told | by | {"operator": "bob"})


def two_repairs_of_the_cash() -> Calls:
    """Enter what the broker's cash has and the book lacks, two people at once."""
    compared = Runs(*desk())
    compared.broker.cash = D(99_990)
    compared(2)
    row = Break.objects.get()
    mend = {"break_id": row.pk, "broker": compared.broker, "reason": REASON, "wall_now": compared.wall}
    accounts = [Account.objects.select_related("feed").get(pk=compared.account.pk) for _ in range(2)]
    ann, bob = ({"operator": name, "account": account} for name, account in zip(("ann", "bob"), accounts, strict=True))
    return both(repair, mend | ann, mend | bob)


def cash_entered(_answers: list[Any]) -> int:
    return CashEntry.objects.filter(kind="other").count()


def asked_to_force() -> tuple[Account, ReconciliationRun]:
    account = make_account()
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.BROKEN)
    run = ReconciliationRun.objects.create(
        account=account, trigger="timer", started_at=WALL_NOW, finished_at=WALL_NOW, state="broken"
    )
    return account, run


def two_approvals() -> Calls:
    account, _run = asked_to_force()
    request = forced.request_force(account=account, operator="ann", reason=REASON, wall_now=WALL_NOW)
    approve = {"request_id": request.pk, "wall_now": WALL_NOW}
    return both(forced.approve_force, approve | {"operator": "bob"}, approve | {"operator": "eve"})


def two_requests() -> Calls:
    account, _run = asked_to_force()
    ask = {"account": account, "reason": REASON, "wall_now": WALL_NOW}
    return both(forced.request_force, ask | {"operator": "ann"}, ask | {"operator": "bob"})


def two_adopters() -> Calls:
    """Adopt somebody else's order as the stream and a comparison find it at once."""
    account = make_account()
    found = BrokerOrder(
        client_order_id="theirs", broker_order_id="B-1", symbol="AAPL", side="buy", quantity=D(5), status="accepted",
        filled_quantity=D(0), average_fill_price=None, updated_at=MARKET_AT,
    )  # fmt: skip
    look = {"account_id": account.pk, "found": found, "wall_now": WALL_NOW}
    return both(strangers.adopt_order, look, look)


def two_adopters_of_shares() -> Calls:
    """Adopt shares that no fill explains, two comparisons at once."""
    account = make_account()
    look = {"account": account, "difference": Difference("AAPL", D(0), D(7)), "price": D(100)}
    return both(
        strangers.adopt_position, look | {"wall_now": WALL_NOW}, look | {"wall_now": WALL_NOW + timedelta(seconds=1)}
    )


def adopted(_answers: list[Any]) -> Any:
    return sum(Position.objects.values_list("quantity", flat=True))


def two_policies() -> Calls:
    account = make_account()
    other = next(each for each in Account.Strangers if each != account.strangers)
    ask = {"account": account, "policy": other, "reason": REASON, "wall_now": WALL_NOW}
    return both(strangers.set_strangers, ask | {"operator": "ann"}, ask | {"operator": "bob"})


def policies_told(_answers: list[Any]) -> int:
    return sum(Alert.objects.filter(code="strangers_policy_set").values_list("count", flat=True))


def two_who_accept() -> Calls:
    halt = a_halt(make_account())
    HaltResidue.objects.create(
        procedure=halt, kind="position", name="manual/AAPL", symbol="AAPL", strategy="manual", quantity=D(1),
        why="denied", found_at=WALL_NOW, seen_at=WALL_NOW,
    )  # fmt: skip
    take = {"procedure_id": halt.pk, "name": "manual/AAPL", "reason": REASON, "wall_now": WALL_NOW}
    return both(residue.accept, take | {"operator": "ann"}, take | {"operator": "bob"})


def people_named(answers: list[Any]) -> int:
    """Return how many people both were told of."""
    return len({answer.accepted_by for answer in answers})


def two_ends_of_a_halt() -> Calls:
    account = make_account()
    a_halt(account)
    end = transaction.atomic(halts.end_running)
    fields = {"account": account, "scope": "global", "wall_now": WALL_NOW}
    return both(end, fields, fields)


def an_override() -> int:
    return overrides.request_override(
        name="max_order_quantity", value=D(20_000), valid_until=WALL_NOW + 60 * MINUTE, operator="ann",
        reason=REASON, now=WALL_NOW,
    ).pk  # fmt: skip


def yes_and_no() -> Calls:
    """Approve and refuse the same override at once."""
    make_account()
    decide = {"override_id": an_override(), "now": WALL_NOW}

    def say(approve: bool, operator: str) -> Any:
        act = overrides.approve_override if approve else overrides.reject_override
        return act(operator=operator, **decide)

    return both(say, {"approve": True, "operator": "bob"}, {"approve": False, "operator": "eve"})


def no_lock_of_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "lock_changes", lambda: None)
    no_rows_locked(monkeypatch)


def two_starts() -> Calls:
    """Announce the version of the code from two processes that start at once."""
    start = {"operator": "up", "now": WALL_NOW}
    return both(releases.announce_release, start, start)


def two_pauses() -> Calls:
    slicing = SlicingDesk()
    parent = slicing.parent()
    pause = {"parent": parent, "wall_now": slicing.wall}
    return both(steering.pause_parent, pause | {"operator": "ann"}, pause | {"operator": "bob"})


def versions(_answers: list[Any]) -> int:
    return Release.objects.count()


def pauses(_answers: list[Any]) -> int:
    return ParentEvent.objects.filter(step="paused").count()


def two_switches() -> Calls:
    slicing = SlicingDesk()
    slicing.parent()
    stop = {"scope": "global", "reason": REASON, "wall_now": slicing.wall}
    return both(steering.pause_parents, stop | {"operator": "ann"}, stop | {"operator": "bob"})


RACES = {
    "a group at the limit": Race(two_groups, (groups, "_judged"), accepted_groups, 1, 2, no_gate_lock),
    "two sweeps": Race(two_sweeps, (Journal, "save"), cancels_asked, (1, []), TWICE, unlocked(Order)),
    "a position line": Race(two_cancels_of_a_line, (Journal, "save"), drifted, 0, 1, unlocked(Position)),
    "a dividend": Race(two_mornings, (corporate_actions, "_traded_since"), dividends, (1, []), TWICE, no_rows_locked),
    "a fee": Race(two_tellers_of_a_fee, (cash, "_enter"), fees, (1, []), TWICE, no_rows_locked),
    "who answers first": Race(two_first_answers, (BrokerLink, "save"), errors, ["WrongAccount"], [], no_rows_locked),
    "a bust": Race(two_corrections, (corrections, "correct"), errors, [], [SECOND_LINE], no_rows_locked),
    "a repair": Race(two_repairs_of_the_cash, (CASH, "create"), cash_entered, 1, 2, no_rows_locked),
    "a price": Race(two_prices, (prices, "correct"), errors, [], [SECOND_LINE], no_rows_locked),
    "an approval": Race(two_approvals, (ForcedCompletion, "save"), errors, [NOT_PENDING], [], no_rows_locked),
    "a request": Race(two_requests, (FORCES, "create"), errors, ["ForceRefused"], [SECOND_LINE], no_rows_locked),
    "a strange order": Race(two_adopters, (strangers, "enter_order"), errors, [], [SECOND_LINE], no_rows_locked),
    "strange shares": Race(two_adopters_of_shares, (strangers, "enter_order"), adopted, 7, 14, no_rows_locked),
    "a policy": Race(two_policies, (Account, "save"), policies_told, 1, 2, no_rows_locked),
    "what is left of a halt": Race(two_who_accept, (HaltResidue, "save"), people_named, 1, 2, no_rows_locked),
    "the end of a halt": Race(two_ends_of_a_halt, (halts, "_tell"), sum, 1, 2, no_rows_locked),
    "yes and no": Race(yes_and_no, (LimitOverride, "save"), errors, [NOT_PENDING], [], no_lock_of_limits),
    "a version": Race(two_starts, (releases, "code_version"), versions, 1, 2, no_advisory_lock(releases)),
    "a pause": Race(two_pauses, (steering, "step"), pauses, 1, 2, unlocked(ParentOrder)),
    "a pause by a switch": Race(two_switches, (steering, "step"), pauses, 1, 2, unlocked(ParentOrder)),
}


@pytest.mark.parametrize("name", RACES)
def test_behind_the_lock_two_do_what_one_would(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    race = RACES[name]
    assert race.run(monkeypatch) == race.right


@pytest.mark.parametrize("name", RACES)
def test_control_without_the_lock_they_do_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    race = RACES[name]
    race.unlock(monkeypatch)
    assert race.run(monkeypatch) == race.wrong


# A decision that comes while a look writes


def decided_during_a_look(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a person accept a break while a comparison that has read it writes it again; return its state."""
    account = make_account()
    sighting = breaks.Sighting(kind=Break.Kind.CASH, subject="cash", ours=D(100), theirs=D(90))
    look = {"account": account, "sightings": [sighting], "looked_at": [Break.Kind.CASH], "wall_now": WALL_NOW}
    row = breaks.note(**look)[sighting.key]
    Break.objects.filter(pk=row.pk).update(state=Break.State.OPEN)

    def decide() -> None:
        accept_break(break_id=row.pk, account=account, operator="ann", reason=REASON, wall_now=WALL_NOW)

    aside = during(monkeypatch, breaks, "_again", decide)
    breaks.note(**look)
    aside[0].join(30)
    return str(Break.objects.get().state)


def test_a_decision_waits_for_the_look_that_has_read_its_break(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decided_during_a_look(monkeypatch) == "accepted"


def test_control_without_the_lock_the_look_writes_over_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    no_rows_locked(monkeypatch)
    assert decided_during_a_look(monkeypatch) == "open"
