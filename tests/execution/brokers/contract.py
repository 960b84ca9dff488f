"""What every broker adapter keeps: subclass, give the fixtures, and the promises of `execution.brokers.base` are run.

`BrokerContract` holds for every adapter, `AcceptingBrokerContract` for those that take orders, `ReplacingContract` and
`GroupContract` for those that take new terms and groups, `SuspendableContract` for those that know a second lock. An
adapter's test class has a `broker` fixture and, when it takes orders, a `fill` method which makes the market fill
everything that works.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerRejected,
    DuplicateClientOrderId,
    LegRequest,
    OrderNotCancelable,
    OrderNotFound,
    OrderNotReplaceable,
    OrderRequest,
    ReplaceRequest,
)

# Thursday 2012-06-14, 09:05 New York: before the open, auction orders are taken.
AT = datetime(2012, 6, 14, 13, 5, tzinfo=UTC)
FINAL = {"filled", "canceled", "expired", "rejected", "replaced"}


def make_request(client_order_id: str = "one", **fields: Any) -> OrderRequest:
    """Make a market day order to buy 10 AAPL."""
    values: dict[str, Any] = {
        "symbol": "AAPL",
        "side": "buy",
        "quantity": Decimal(10),
        "order_type": "market",
        "time_in_force": "day",
        **fields,
    }
    return OrderRequest(client_order_id=client_order_id, **values)


def make_limit(client_order_id: str = "one", **fields: Any) -> OrderRequest:
    """Make a limit order far from the market: it works and does not fill."""
    return make_request(client_order_id, **{"order_type": "limit", "limit_price": Decimal(50)} | fields)


def make_terms(original: str = "one", **fields: Any) -> ReplaceRequest:
    """Make new terms of an order of `make_limit`: half as much, a dollar lower."""
    values: dict[str, Any] = {
        "client_order_id": f"{original}-R1",
        "original_broker_order_id": "",
        "quantity": Decimal(5),
        "time_in_force": "day",
        "limit_price": Decimal(49),
        **fields,
    }
    return ReplaceRequest(original_client_order_id=original, **values)


def make_bracket(client_order_id: str = "entry", **fields: Any) -> OrderRequest:
    """Make an entry at the market with a take-profit at 200 and a stop-loss at 50."""
    legs = (
        LegRequest(role="take_profit", client_order_id=f"{client_order_id}-TP", limit_price=Decimal(200)),
        LegRequest(role="stop_loss", client_order_id=f"{client_order_id}-SL", stop_price=Decimal(50)),
    )
    return make_request(client_order_id, **{"order_class": "bracket", "legs": legs} | fields)


class BrokerContract:
    """Promises of every adapter, also of one that takes no order."""

    def test_has_a_name_and_says_what_it_is(self, broker: Broker):
        assert broker.name
        assert broker.is_dry_run in (True, False)
        assert broker.not_found_grace_seconds >= 0
        assert broker.submit_batch_size >= 1
        assert broker.pause_seconds == 0

    def test_an_unknown_order_is_not_found(self, broker: Broker):
        assert broker.find("never-sent") is None

    def test_cancel_of_an_unknown_order_says_so(self, broker: Broker):
        with pytest.raises(OrderNotFound):
            broker.cancel(client_order_id="never-sent", broker_order_id="", at=AT)

    def test_a_suspension_may_be_asked_for_twice(self, broker: Broker):
        for wanted in (True, True, False, False):
            broker.suspend(wanted)
            assert broker.account().suspended in (wanted, None)

    def test_a_new_account_is_empty(self, broker: Broker):
        assert broker.open_orders() == []
        assert broker.positions() == []
        assert broker.reports_since(0) == []
        assert broker.account().account_number
        assert broker.account().cash.is_finite()

    def test_a_new_account_has_no_past(self, broker: Broker):
        assert broker.closed_orders(after=AT - timedelta(days=1)) == []
        # Cash that was there from the beginning may have come in as a deposit.
        assert {moved.means for moved in broker.activities(after=AT - timedelta(days=1))} <= {"deposit"}
        assert broker.position("AAPL") is None
        assert broker.order("3f9ab1c1-8e1f-4c7e-9f25-0d2b1c1e7a10") is None
        names = {"client_order_id": "never-sent", "broker_order_id": "3f9ab1c1-8e1f-4c7e-9f25-0d2b1c1e7a10"}
        assert broker.executions_of(**names, since=AT, wall_now=AT) == 0

    def test_many_requests_get_an_answer_each(self, broker: Broker):
        answers = broker.submit_many([make_request("one"), make_request("two")], at=AT)
        assert len(answers) == 2
        assert all(isinstance(answer, BrokerOrder | BrokerError) for answer in answers)

    def test_no_requests_no_answers(self, broker: Broker):
        assert broker.submit_many([], at=AT) == []


class AcceptingBrokerContract(BrokerContract):
    """Promises of adapters that take orders."""

    def fill(self, broker: Any) -> None:
        """Make the market fill everything that works."""
        raise NotImplementedError

    def test_a_submitted_order_can_be_found(self, broker: Broker):
        answer = broker.submit(make_request(), at=AT)
        found = broker.find("one")
        assert found == answer
        assert answer.broker_order_id
        assert (answer.client_order_id, answer.symbol, answer.side) == ("one", "AAPL", "buy")
        assert (answer.quantity, answer.filled_quantity, answer.average_fill_price) == (10, 0, None)
        assert answer.status not in FINAL
        assert [order.client_order_id for order in broker.open_orders()] == ["one"]

    def test_an_order_is_found_by_the_brokers_own_id_and_among_the_closed_when_it_is_over(self, broker: Broker):
        taken = broker.submit(make_limit(), at=AT)
        assert broker.order(taken.broker_order_id) == broker.find("one")
        assert broker.closed_orders(after=AT - timedelta(days=1)) == []
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
        [closed] = broker.closed_orders(after=AT - timedelta(days=1))
        assert (closed.broker_order_id, closed.client_order_id) == (taken.broker_order_id, "one")
        assert closed.terms is not None
        assert (closed.terms.order_type, closed.terms.limit_price) == ("limit", 50)
        assert broker.closed_orders(after=AT + timedelta(days=1)) == []

    def test_an_id_is_used_once_for_ever(self, broker: Broker):
        broker.submit(make_request(), at=AT)
        with pytest.raises(DuplicateClientOrderId):
            broker.submit(make_request(), at=AT)
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
        with pytest.raises(DuplicateClientOrderId):
            broker.submit(make_request(quantity=Decimal(5)), at=AT)

    def test_an_id_is_used_once_within_a_batch_too(self, broker: Broker):
        answers = broker.submit_many([make_request(), make_request(), make_request("two")], at=AT)
        assert [type(answer) for answer in answers] == [BrokerOrder, DuplicateClientOrderId, BrokerOrder]

    @pytest.mark.parametrize(
        "fields",
        [
            {"quantity": Decimal(0)},
            {"quantity": Decimal("NaN")},
            {"order_type": "limit"},
            {"side": "hold"},
            {"symbol": ""},
        ],
    )
    def test_a_bad_order_is_rejected_and_leaves_nothing(self, broker: Broker, fields: dict[str, Any]):
        with pytest.raises(BrokerRejected) as refused:
            broker.submit(make_request(**fields), at=AT)
        assert refused.value.code
        assert refused.value.reason
        assert broker.find("one") is None

    def test_a_bad_order_does_not_touch_its_neighbours(self, broker: Broker):
        answers = broker.submit_many([make_request("bad", quantity=Decimal(-1)), make_request("good")], at=AT)
        assert isinstance(answers[0], BrokerRejected)
        assert isinstance(answers[1], BrokerOrder)
        assert broker.find("bad") is None
        assert broker.find("good") is not None

    def test_a_cancel_ends_the_order_and_a_second_one_says_that_it_is_over(self, broker: Broker):
        answer = broker.submit(make_request(), at=AT)
        broker.cancel(client_order_id="one", broker_order_id=answer.broker_order_id, at=AT)
        found = broker.find("one")
        assert found is not None
        assert found.status == "canceled"
        assert broker.open_orders() == []
        with pytest.raises(OrderNotCancelable):
            broker.cancel(client_order_id="one", broker_order_id=answer.broker_order_id, at=AT)

    def test_a_filled_order_cannot_be_canceled(self, broker: Broker):
        broker.submit(make_request(), at=AT)
        self.fill(broker)
        with pytest.raises(OrderNotCancelable):
            broker.cancel(client_order_id="one", broker_order_id="", at=AT + timedelta(hours=2))

    def test_a_fill_is_in_order_reports_position_and_cash(self, broker: Broker):
        cash = broker.account().cash
        broker.submit_many([make_request(), make_request("two", side="sell", quantity=Decimal(4))], at=AT)
        self.fill(broker)
        found = broker.find("one")
        assert found is not None
        assert (found.status, found.filled_quantity) == ("filled", 10)
        assert found.average_fill_price is not None
        fills = [report for report in broker.reports_since(0) if report.kind == "fill"]
        paid = sum(f.price * f.quantity * (1 if f.client_order_id == "one" else -1) + (f.fee or 0) for f in fills)
        assert broker.account().cash == cash - paid
        assert [(p.symbol, p.quantity) for p in broker.positions()] == [("AAPL", Decimal(6))]
        assert len({f.broker_execution_id for f in fills}) == len(fills)

    def test_reports_are_numbered_upwards_and_replay_from_any_cursor(self, broker: Broker):
        broker.submit_many([make_request("one"), make_request("two"), make_request("three")], at=AT)
        broker.cancel(client_order_id="two", broker_order_id="", at=AT)
        self.fill(broker)
        reports = broker.reports_since(0)
        numbers = [report.sequence for report in reports]
        assert numbers == sorted(set(numbers))
        assert numbers[0] >= 1
        for index, report in enumerate(reports):
            assert broker.reports_since(report.sequence) == reports[index + 1 :]
        assert broker.reports_since(0, limit=2) == reports[:2]
        assert broker.reports_since(0) == reports

    def test_an_order_is_reported_accepted_before_anything_else(self, broker: Broker):
        broker.submit(make_request(), at=AT)
        self.fill(broker)
        kinds = [report.kind for report in broker.reports_since(0)]
        assert kinds[0] == "accepted"
        assert set(kinds[1:]) == {"fill"}

    def test_cumulative_quantity_is_that_of_the_order(self, broker: Broker):
        broker.submit(make_request(), at=AT)
        self.fill(broker)
        filled = Decimal(0)
        for report in broker.reports_since(0):
            filled += report.quantity or 0
            assert report.cumulative_quantity == filled


class ReplacingContract:
    """Promises of adapters that take new terms; beside `AcceptingBrokerContract`, whose `fill` is used."""

    def fill(self, broker: Any) -> None:
        """Make the market fill everything that works."""
        raise NotImplementedError

    def test_new_terms_are_a_new_order_and_the_original_gives_way(self, broker: Broker):
        original = broker.submit(make_limit(), at=AT)
        successor = broker.replace(make_terms(original_broker_order_id=original.broker_order_id), at=AT)
        assert successor.broker_order_id not in {"", original.broker_order_id}
        assert (successor.client_order_id, successor.quantity) == ("one-R1", 5)
        found = broker.find("one")
        assert found is not None
        assert found.status == "replaced"
        assert [order.client_order_id for order in broker.open_orders()] == ["one-R1"]
        reports = [r for r in broker.reports_since(0) if r.kind == "replaced"]
        assert [(r.client_order_id, r.broker_order_id) for r in reports] == [("one", original.broker_order_id)]

    def test_an_original_is_found_by_its_client_order_id_too(self, broker: Broker):
        broker.submit(make_limit(), at=AT)
        assert broker.replace(make_terms(), at=AT).client_order_id == "one-R1"

    def test_the_successors_id_is_used_once_for_ever(self, broker: Broker):
        broker.submit(make_limit(), at=AT)
        broker.submit(make_limit("two", limit_price=Decimal(48)), at=AT)
        with pytest.raises(DuplicateClientOrderId):
            broker.replace(make_terms(client_order_id="two"), at=AT)
        assert {order.client_order_id for order in broker.open_orders()} == {"one", "two"}

    def test_a_replacement_of_an_unknown_order_says_so(self, broker: Broker):
        with pytest.raises(OrderNotFound):
            broker.replace(make_terms("never-sent"), at=AT)

    def test_a_finished_order_takes_no_new_terms(self, broker: Broker):
        broker.submit(make_limit(), at=AT)
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
        with pytest.raises(OrderNotReplaceable):
            broker.replace(make_terms(), at=AT)


class GroupContract:
    """Promises of adapters that take orders with held legs; beside `AcceptingBrokerContract`."""

    def fill(self, broker: Any) -> None:
        """Make the market fill everything that works."""
        raise NotImplementedError

    def test_legs_are_held_and_found_with_their_entry(self, broker: Broker):
        answer = broker.submit(make_bracket(), at=AT)
        found = broker.find("entry")
        assert found is not None
        for order in (answer, found):
            assert {leg.role for leg in order.legs} == {"take_profit", "stop_loss"}
            assert all(leg.broker_order_id for leg in order.legs)
            assert {leg.side for leg in order.legs} == {"sell"}
        assert {leg.status for leg in found.legs} == {"held"}

    def test_an_entrys_fill_lets_its_legs_work(self, broker: Broker):
        legs = broker.submit(make_bracket(), at=AT).legs
        self.fill(broker)
        found = broker.find("entry")
        assert found is not None
        assert found.status == "filled"
        assert next(leg.status for leg in found.legs if leg.role == "take_profit") == "accepted"
        told = {report.broker_order_id for report in broker.reports_since(0) if report.kind == "accepted"}
        assert next(leg.broker_order_id for leg in legs if leg.role == "take_profit") in told
        working = {order.broker_order_id for order in broker.open_orders()}
        assert working <= {leg.broker_order_id for leg in legs}
        assert working

    def test_held_legs_end_with_their_entry(self, broker: Broker):
        broker.submit(make_bracket(order_type="limit", limit_price=Decimal(60)), at=AT)
        broker.cancel(client_order_id="entry", broker_order_id="", at=AT)
        found = broker.find("entry")
        assert found is not None
        assert {leg.status for leg in found.legs} == {"canceled"}
        assert broker.open_orders() == []


class SuspendableContract:
    """Promises of adapters whose broker can be told to take no orders; beside `AcceptingBrokerContract`."""

    def test_a_suspended_account_takes_no_orders_and_cancels_all_the_same(self, broker: Broker):
        broker.submit(make_limit(), at=AT)
        broker.suspend(True)
        assert broker.account().suspended is True
        with pytest.raises(BrokerRejected):
            broker.submit(make_limit("two"), at=AT)
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
        assert broker.open_orders() == []
        broker.suspend(False)
        assert broker.account().suspended is False
        broker.submit(make_limit("three"), at=AT)
