"""The checker finds whatever the book and the broker's own log do not agree upon."""

from decimal import Decimal

import pytest

from execution.emulator.log import EventLog
from execution.invariants import check_against_log
from execution.models import Account, Fill, InferredFill, Order, Supersession
from tests.execution.cases import D, FakeBroker, accepted_order, desk, filled_order, make_order
from tests.execution.invariants.mirror import described, mirror, names, tell_fill, without
from tests.execution.invariants.planting import plant, text, told
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts

pytestmark = pytest.mark.django_db


@pytest.fixture
def traded() -> tuple[Account, FakeBroker]:
    """A desk with one order filled, one working and one that was never sent."""
    allow_bursts()
    account, broker = desk()
    filled_order(account, broker, quantity=D(30))
    accepted_order(account, broker, order_type="limit", limit_price=D(99), client_order_id="works")
    make_order(account, client_order_id="waits")
    return account, broker


def found(account: Account, log: EventLog, **options) -> str:
    return text(check_against_log(account, log, **options))


@pytest.mark.parametrize("settled", [True, False])
def test_two_books_that_agree_have_no_violation(traded, settled):
    account, _broker = traded
    assert check_against_log(account, mirror(account), settled=settled) == []


def test_i1_an_order_that_we_did_not_want_is_found(traded):
    account, _broker = traded
    log = mirror(account)
    order = Order.objects.get(client_order_id="works")
    log.add("submitted", at=MARKET_AT, **described(order, order_id="B-9", client_order_id="who?"))
    assert "I1 broker order B-9: who? is no order of ours" in found(account, log)
    assert "is no order of ours" in found(account, log, settled=False)


def test_i1_an_order_of_ours_that_is_there_twice_is_found(traded):
    account, _broker = traded
    log = mirror(account)
    log.add("submitted", at=MARKET_AT, **described(Order.objects.get(client_order_id="works"), order_id="B-9"))
    assert "2 orders at the broker are this one" in found(account, log, settled=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("quantity", D(11)), ("side", "sell"), ("limit_price", D("99.01")), ("time_in_force", "gtc"), ("symbol", "IBM")],
)
def test_i1_other_terms_are_found(traded, name, value):
    account, _broker = traded
    log = EventLog()
    order = Order.objects.get(client_order_id="works")
    log.add("submitted", at=MARKET_AT, **described(order, **{name: value}))
    told_of = found(account, log, settled=False)
    assert f"I1 order {order.pk}: ours and the broker's differ: {name}" in told_of


def test_i1_an_order_that_the_broker_never_took_is_found(traded):
    account, _broker = traded
    order = Order.objects.get(client_order_id="works")
    log = EventLog.of(e for e in mirror(account).entries() if e.data.get("order_id") != order.broker_order_id)
    assert f"I1 order {order.pk}: the broker never took {order.broker_order_id}" in found(account, log, settled=False)


def test_i1_an_order_that_has_anothers_id_is_found(traded):
    account, _broker = traded
    log = mirror(account)
    first, second = Order.objects.exclude(broker_order_id="").order_by("pk")
    plant("UPDATE execution_order SET broker_order_id = 'x' WHERE id = %s", first.pk)
    plant("UPDATE execution_order SET broker_order_id = %s WHERE id = %s", first.broker_order_id, second.pk)
    assert f"the broker's {first.broker_order_id} is {first.client_order_id}" in found(account, log, settled=False)


def test_i1_an_order_whose_answer_was_never_learnt_is_found_when_all_is_settled(traded):
    account, _broker = traded
    log = mirror(account)
    order = Order.objects.get(client_order_id="waits")
    log.add("submitted", at=MARKET_AT, **described(order, order_id="B-9"))
    assert check_against_log(account, log, settled=False) == []
    assert f"I1 order {order.pk}: is pending without the broker's id" in found(account, log)


def test_i1_an_end_that_only_one_side_knows_is_found(traded):
    account, _broker = traded
    log = mirror(account)
    order = Order.objects.get(client_order_id="works")
    log.add("canceled", at=MARKET_AT, **names(order), status="canceled")
    assert check_against_log(account, log, settled=False) == []
    assert f"I1 order {order.pk}: is accepted, at the broker canceled" in found(account, log)


def test_i1_a_late_fill_that_makes_an_order_whole_is_no_violation(traded):
    account, _broker = traded
    log = mirror(account)
    order = Order.objects.get(status="filled")
    log.add("canceled", at=MARKET_AT, **names(order), status="canceled")
    assert check_against_log(account, log) == []


def test_i1_a_fill_that_never_happened_is_found(traded):
    account, _broker = traded
    told_of = check_against_log(account, without(mirror(account), "fill"), settled=False)
    assert told(told_of) == {"I1"}
    assert "at the broker 0" in text(told_of)


def test_i1_a_fill_that_was_missed_is_found_when_all_is_settled(traded):
    account, _broker = traded
    log = mirror(account)
    tell_fill(log, Fill.objects.get(), execution_id="missed", quantity=D(1), cash=D(-100))
    assert check_against_log(account, log, settled=False) == []
    told_of = check_against_log(account, log)
    assert told(told_of) == {"I1", "I2"}
    assert "not booked" in text(told_of)
    assert "I2 shares of AAPL: 30.00000000 here, 31" in text(told_of)
    assert "cash moved by -3000" in text(told_of)


def test_i1_a_fill_with_another_price_is_found(traded):
    account, _broker = traded
    log = without(mirror(account), "fill")
    tell_fill(log, Fill.objects.get(), price=Decimal("100.01"))
    assert "at the broker 0" in found(account, log, settled=False)


def test_a_log_that_was_written_to_a_file_is_read_again_as_it_was(traded, tmp_path):
    account, _broker = traded
    path = tmp_path / "log.jsonl"
    with EventLog(path) as log:
        for entry in mirror(account).entries():
            log.add(entry.kind, at=entry.at, **entry.data)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"sequence": 99, "at": "2012-')  # the writer has come no further
    again = EventLog.read(path)
    assert again.fills() == log.fills()
    assert again.positions() == log.positions()
    assert again.orders() == log.orders()
    assert check_against_log(account, again) == []


def test_i1_an_inferred_fill_is_an_execution_only_when_one_has_taken_its_place(traded):
    account, _broker = traded
    log, fill = mirror(account), Fill.objects.get()
    name = fill.broker_execution_id
    plant("UPDATE execution_fill SET broker_execution_id = 'inferred:30' WHERE id = %s", fill.pk)
    row = InferredFill.objects.create(
        fill=fill, order=fill.order, from_quantity=D(0), to_quantity=D(30), created_at=WALL_NOW
    )
    assert check_against_log(account, log, settled=False) == []
    assert f"execution {name}: 30" in found(account, log)
    Supersession.objects.create(
        inferred=row, broker_execution_id=name, quantity=D(30), price=fill.price, created_at=WALL_NOW
    )
    assert check_against_log(account, log) == []
