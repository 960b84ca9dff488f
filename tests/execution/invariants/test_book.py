"""The checker is silent about a book that is right, and finds every fault that is planted into it."""

from datetime import timedelta

import pytest

from execution.invariants import check_account, check_book
from execution.invariants.exposure import check_exposure
from execution.invariants.history import check_entries, check_history
from execution.invariants.ledger import check_ledger
from execution.invariants.unanswered import check_unanswered
from execution.invariants.violation import MOST
from execution.models import Account, BrokerLink, Order
from execution.services.claims import claim_pending
from tests.execution.cases import D, FakeBroker, accepted_order, desk, filled_order, make_order, recorded
from tests.execution.invariants.planting import plant, text, told
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts

pytestmark = pytest.mark.django_db


@pytest.fixture
def traded() -> tuple[Account, FakeBroker, Order]:
    """A desk that has bought, sold a part with a fee, and has an order open."""
    allow_bursts()
    account, broker = desk()
    bought = filled_order(account, broker, quantity=D(30))
    sold = accepted_order(account, broker, side="sell", quantity=D(10))
    broker.fill(sold.client_order_id, D(10), "101", fee=D("0.35"))
    recorded(account, broker)
    accepted_order(account, broker, order_type="limit", limit_price=D(99))
    return account, broker, bought


def test_a_right_book_has_no_violation(traded):
    account, _broker, _order = traded
    assert check_account(account, wall_now=WALL_NOW + timedelta(hours=1)) == []


def test_an_empty_account_has_no_violation():
    account, _broker = desk()
    assert check_account(account, wall_now=WALL_NOW) == []


# I2


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE execution_position SET quantity = quantity + 1", "not the sum of its fills"),
        ("UPDATE execution_position SET cost_basis = cost_basis + 0.00000001", "paid"),
        ("UPDATE execution_position SET fees = fees + 1", "fees"),
        ("UPDATE execution_position SET dividends = 1", "dividends"),
        ("UPDATE execution_account SET cash = cash + 0.00000001", "cash differs from its entries by 1E-8"),
        ("UPDATE execution_account SET starting_cash = starting_cash - 1", "deposits"),
        ("DELETE FROM execution_cashentry WHERE kind = 'trade' AND amount > 0", "entries None"),
        ("DELETE FROM execution_cashentry WHERE kind = 'fee'", "fee 0.35"),
        ("UPDATE execution_fill SET fee = fee + 1", "entries"),
        ("UPDATE execution_cashentry SET amount = amount + 1 WHERE kind = 'trade'", "entries"),
        ("UPDATE execution_order SET filled_quantity = filled_quantity - 1 WHERE filled_quantity > 0", "its fills"),
        ("UPDATE execution_fill SET side = 'sell' WHERE side = 'buy'", "not of its order's"),
        ("UPDATE execution_fill SET realized_pnl = realized_pnl + 1", "realised"),
    ],
)
def test_i2_a_book_that_does_not_add_up_is_found(traded, statement, says):
    account, _broker, _order = traded
    plant(statement, without={"execution_order": ("order_filled_means_all",)})
    found = check_ledger(account)
    assert told(found) == {"I2"}
    assert says in text(found)


def test_i2_a_fill_without_a_line_is_found(traded):
    account, _broker, order = traded
    plant("UPDATE execution_fill SET strategy_id = strategy_id + 1000 WHERE order_id = %s", order.pk)
    assert "no position line has it" in text(check_ledger(account))


def test_i2_another_accounts_faults_are_not_told(traded):
    account, _broker, _order = traded
    plant("UPDATE execution_position SET quantity = quantity + 1")
    other, _ = desk()
    assert check_book(other) == []
    assert check_book(account)


# I3


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE execution_position SET open_buy_quantity = open_buy_quantity - 1", "what its open orders hold"),
        ("UPDATE execution_position SET long_cap = 0", "caps 0E-8 long"),
        ("UPDATE execution_position SET short_cap = -30, open_sell_quantity = 1", "-30.00000000 short"),
        ("UPDATE execution_position SET reserved_loss = -1", "its reservations"),
    ],
)
def test_i3_reservations_that_are_wrong_are_found(traded, statement, says):
    account, _broker, _order = traded
    checks = ("position_long_within_cap", "position_short_within_cap", "position_reservations_not_negative")
    plant(statement, without={"execution_position": checks})
    found = check_exposure(account)
    assert told(found) == {"I3"}
    assert says in text(found)


@pytest.mark.parametrize(
    ("scope", "most", "is_past"), [("account", "39", True), ("strategy", "39", True), ("account", "40", False)]
)
def test_i3_a_decision_past_its_limit_is_found(scope, most, is_past):
    allow_bursts()
    account, broker = desk()
    filled_order(account, broker, quantity=D(30))
    order = make_order(account, quantity=D(10), client_order_id="one too many")
    path = ["limits", scope, "max_position_quantity"]
    plant('UPDATE risk_decision SET "case" = jsonb_set("case", %s, to_jsonb(%s::text))', path, most)
    found = check_exposure(account)
    assert bool(found) is is_past
    if is_past:
        assert [violation.subject for violation in found] == [f"order {order.pk}"]
        assert f"the {scope} line would become 40" in text(found)


# I5 and I8


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE execution_orderevent SET from_status = 'held' WHERE sequence = 2", "did not end"),
        (
            "UPDATE execution_orderevent SET to_status = 'held' WHERE sequence = 2 AND to_status = 'submitted'",
            "is not in the table",
        ),
        ("UPDATE execution_orderevent SET filled_quantity = 1 WHERE sequence = 1", "takes shares back"),
        ("DELETE FROM execution_orderevent WHERE sequence = 2", "did not end"),
        ("UPDATE execution_order SET status = 'rejected' WHERE status = 'filled'", "its last step says filled"),
        ("DELETE FROM execution_orderevent WHERE to_status = 'filled'", "its last step says accepted"),
    ],
)
def test_i5_a_life_that_cannot_be_is_found(traded, statement, says):
    account, _broker, _order = traded
    plant(statement, without={"execution_orderevent": ("orderevent_transition_allowed", "orderevent_first_creates")})
    found = check_history(account)
    assert told(found) == {"I5"}
    assert says in text(found)


def test_i5_a_step_after_the_end_that_is_no_late_fill_is_found(traded):
    account, _broker, _order = traded
    last = Order.objects.filter(account=account).order_by("-pk").first()
    for sequence, (before, after) in enumerate([("accepted", "canceled"), ("canceled", "canceled")], 4):
        plant(
            "INSERT INTO execution_orderevent (order_id, sequence, from_status, to_status, source, actor, detail, "
            "filled_quantity, market_at) VALUES (%s, %s, %s, %s, 'system', '', '{}', 0, %s)",
            *(last.pk, sequence, before, after, MARKET_AT),
        )
    assert "moves an order that is over without a late fill" in text(check_history(account))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE execution_order SET event_count = event_count + 1", "changes"),
        ("DELETE FROM execution_orderevent WHERE sequence = 2", "entries"),
        ("UPDATE execution_orderevent SET detail = '{}'", "has not exactly one entry for it"),
    ],
)
def test_i8_a_missing_entry_is_found(traded, statement, says):
    account, _broker, _order = traded
    plant(statement)
    found = check_entries(account)
    assert told(found) == {"I8"}
    assert says in text(found)


# I10


def test_i10_an_order_that_waits_for_long_unseen_is_found():
    account, _broker = desk()
    order = make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    assert check_unanswered(account, wall_now=WALL_NOW + timedelta(seconds=30)) == []
    found = check_unanswered(account, wall_now=WALL_NOW + timedelta(seconds=31))
    assert [violation.subject for violation in found] == [f"order {order.pk}"]
    assert told(check_account(account, wall_now=WALL_NOW + timedelta(seconds=31))) == {"I10"}


@pytest.mark.parametrize("shown", ["error", "account", "line"])
def test_i10_one_that_is_shown_is_no_violation(shown):
    account, _broker = desk()
    make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    if shown == "error":
        Order.objects.update(error_code="no_answer")
    elif shown == "account":
        Account.objects.update(reconciliation="pending")
    else:
        BrokerLink.objects.create(account=account, poll_problem="REST does not answer")
    assert check_unanswered(account, wall_now=WALL_NOW + timedelta(hours=1)) == []


def test_a_book_that_is_wrong_everywhere_is_not_listed_row_by_row():
    allow_bursts()
    account, _broker = desk()
    for number in range(MOST + 5):
        make_order(account, client_order_id=f"o{number}", quantity=D(number + 1))
    plant("UPDATE execution_order SET event_count = 7")
    assert len(check_entries(account)) == MOST
