from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, transaction

from execution.brokers.base import BrokerOutcomeUnknown, BrokerRejected, BrokerUnavailable, OrderNotFound
from execution.brokers.paper import PaperBroker
from execution.brokers.paper import broker as adapter
from execution.models.paper import PaperMark, PaperOrder, PaperPosition, PaperReport, PaperVenue
from tests.execution.brokers.contract import (
    AT,
    AcceptingBrokerContract,
    GroupContract,
    ReplacingContract,
    make_request,
)
from tests.execution.brokers.paper_cases import (
    CLOSE,
    FRIDAY,
    OPEN,
    THURSDAY,
    closing,
    mixed_orders,
    opening,
    session_end,
    tick,
    venue_state,
    whole_day,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker() -> PaperBroker:
    return PaperBroker("desk", starting_cash=Decimal(100_000))


def status_of(broker: PaperBroker, client_order_id: str = "one") -> str:
    order = broker.find(client_order_id)
    assert order is not None
    return order.status


class TestPaperBroker(AcceptingBrokerContract, ReplacingContract, GroupContract):
    @pytest.fixture
    def broker(self) -> PaperBroker:
        return PaperBroker("desk")

    def fill(self, broker: PaperBroker) -> None:
        broker.advance([opening("100.25")])


class TestEntry:
    def test_ids_are_the_same_wherever_they_are_made(self, broker):
        first = broker.submit(make_request(), at=AT)
        other = PaperBroker("other").submit(make_request(), at=AT)
        assert first.broker_order_id == "817d6481-0335-5436-9b0d-bb42dec82f53"
        assert other.broker_order_id != first.broker_order_id

    def test_opg_after_the_cut_off_is_rejected(self, broker):
        late = OPEN - timedelta(minutes=2)
        with pytest.raises(BrokerRejected) as refused:
            broker.submit(make_request(time_in_force="opg"), at=late)
        assert refused.value.code == "opg_window"
        broker.submit(make_request(time_in_force="opg"), at=late - timedelta(seconds=1))

    def test_cls_after_the_cut_off_is_rejected(self, broker):
        with pytest.raises(BrokerRejected) as refused:
            broker.submit(make_request(time_in_force="cls"), at=CLOSE - timedelta(minutes=10))
        assert refused.value.code == "cls_window"

    def test_auction_orders_for_tomorrow_are_taken_from_the_evening(self, broker):
        early, evening = CLOSE + timedelta(hours=2, minutes=59), CLOSE + timedelta(hours=3)
        with pytest.raises(BrokerRejected):
            broker.submit(make_request(time_in_force="opg"), at=early)
        broker.submit(make_request(time_in_force="opg"), at=evening)
        assert broker.advance([session_end()]) == 0
        assert broker.advance([opening("101", days=1)]) == 1

    def test_an_order_after_the_close_is_for_the_next_session(self, broker):
        broker.submit(make_request(), at=CLOSE + timedelta(minutes=1))
        broker.advance([session_end()])
        assert PaperOrder.objects.get().session_date == FRIDAY
        assert status_of(broker) == "accepted"

    def test_an_order_during_the_session_waits_for_the_next_tick(self, broker):
        broker.submit(make_request(), at=tick().at)
        assert broker.advance([tick()]) == 0
        assert broker.advance([tick("101", minute=2)]) == 1
        assert broker.find("one").average_fill_price == Decimal("101.01")


class TestAdvance:
    def test_parts_of_an_order_are_told_one_by_one(self, broker):
        broker.submit(make_request(quantity=Decimal(40)), at=AT)
        broker.advance([opening("100", volume=100)])
        assert status_of(broker) == "partially_filled"
        broker.advance([tick("101", volume=200), tick("102", minute=2, volume=200)])
        order = broker.find("one")
        assert (order.status, order.filled_quantity) == ("filled", 40)
        assert order.average_fill_price == Decimal("101.0075")
        fills = [(r.quantity, r.price, r.cumulative_quantity) for r in broker.reports_since(1)]
        assert fills == [(10, 100, 10), (20, Decimal("101.01"), 30), (10, Decimal("102.01"), 40)]

    def test_a_day_order_ends_with_its_session_and_keeps_what_it_got(self, broker):
        broker.submit(make_request(quantity=Decimal(40)), at=AT)
        assert broker.advance([opening(volume=100), session_end()]) == 2
        order = broker.find("one")
        assert (order.status, order.filled_quantity) == ("expired", 10)
        assert order.reason == "unfilled at the end of 2012-06-14"

    def test_events_of_one_instant_come_in_the_order_of_a_session(self, broker):
        broker.submit(make_request(time_in_force="cls"), at=AT)
        assert broker.advance([session_end(), closing("99")]) == 1
        assert broker.find("one").average_fill_price == 99

    def test_other_accounts_and_symbols_are_left_alone(self, broker):
        other = PaperBroker("other")
        other.submit(make_request(), at=AT)
        broker.submit(make_request(symbol="IBM"), at=AT)
        assert broker.advance([opening()]) == 0
        assert other.advance([opening(symbol="IBM")]) == 0

    def test_gtc_goes_on_tomorrow(self, broker):
        broker.submit(make_request(time_in_force="gtc", order_type="limit", limit_price=Decimal(95)), at=AT)
        broker.advance([opening(), closing(), session_end()])
        broker.advance([opening("94", days=1)])
        assert broker.find("one").average_fill_price == 94

    def test_a_trigger_is_remembered_without_a_report(self, broker):
        broker.submit(make_request(order_type="stop", stop_price=Decimal(103)), at=AT)
        assert broker.advance([tick("103", volume=0)]) == 0
        assert PaperOrder.objects.get().triggered
        broker.advance([tick("90", minute=2)])
        assert status_of(broker) == "filled"

    def test_a_late_auction_still_counts(self, broker):
        broker.submit_many([make_request("mkt"), make_request("opg", time_in_force="opg")], at=AT)
        broker.advance([tick()])
        assert broker.advance([opening("99")]) == 1
        assert broker.find("opg").average_fill_price == 99

    def test_costs_of_the_venue_are_charged(self, broker):
        broker.submit(make_request(quantity=Decimal(100)), at=AT)
        PaperVenue.objects.update(
            slippage_model="fixed_bps",
            slippage_bps=10,
            commission_model="per_share",
            commission_per_share=Decimal("0.005"),
        )
        broker.advance([opening("100")])
        fill = broker.reports_since(1)[0]
        assert (fill.price, fill.fee) == (Decimal("100.10"), Decimal("0.5"))
        assert broker.account().cash == Decimal("100000") - Decimal("10010") - Decimal("0.5")

    @pytest.mark.parametrize(
        ("settings", "price", "fee"),
        [
            ({"slippage_model": "square_root", "commission_model": "bps", "commission_bps": 1}, "100.20", "0.1002"),
            ({}, "100", "0"),
        ],
    )
    def test_every_model_can_be_chosen(self, broker, settings, price, fee):
        broker.submit(make_request(), at=AT)
        PaperVenue.objects.update(**settings)
        broker.advance([opening("100", volume=1000)])
        fill = broker.reports_since(1)[0]
        assert (fill.price, fill.fee) == (Decimal(price), Decimal(fee))

    def test_short_positions_are_negative(self, broker):
        broker.submit(make_request(side="sell"), at=AT)
        broker.advance([opening("100")])
        assert [(p.quantity, p.average_price) for p in broker.positions()] == [(-10, 100)]
        broker.submit(make_request("two"), at=OPEN + timedelta(minutes=1))
        broker.advance([closing("90")])
        assert broker.positions() == []
        assert broker.account().cash == 100_100


class TestToldTwice:
    """A consumer may die between `advance` and what it does next: telling the same again must change nothing."""

    def play(self, name: str, *batches) -> dict:
        broker = PaperBroker(name)
        broker.submit_many(mixed_orders(), at=AT)
        for batch in batches:
            broker.advance(batch)
        return venue_state(name)

    def test_a_day_in_one_batch_or_in_many_is_the_same(self):
        day = whole_day()
        assert self.play("whole", day) == self.play("single", *[[event] for event in day])

    def test_every_event_told_three_times_counts_once(self):
        day = whole_day()
        assert self.play("whole", day) == self.play("echo", *[[event] for event in day for _ in range(3)])

    def test_after_each_event_the_whole_past_told_again_counts_once(self):
        day = whole_day()
        pasts = [day[: index + 1] for index in range(len(day))]
        assert self.play("whole", day) == self.play("rewind", *pasts, *[[event] for event in day])

    def test_orders_entered_in_between_do_not_meet_the_past(self, broker):
        broker.submit(make_request("first", quantity=Decimal(100)), at=AT)
        broker.advance([tick(volume=100)])
        broker.submit(make_request("second"), at=tick(minute=2).at)
        assert broker.advance([tick(volume=100)]) == 0
        assert status_of(broker, "second") == "accepted"

    def test_volume_given_to_a_canceled_order_is_not_given_again(self, broker):
        broker.submit_many([make_request("first", quantity=Decimal(100)), make_request("second")], at=AT)
        broker.advance([tick(volume=100)])
        broker.cancel(client_order_id="first", broker_order_id="", at=tick(minute=2).at)
        assert broker.advance([tick(volume=100)]) == 0
        assert status_of(broker, "second") == "accepted"


class TestCancel:
    def test_another_broker_id_is_another_order(self, broker):
        broker.submit(make_request(), at=AT)
        with pytest.raises(OrderNotFound):
            broker.cancel(client_order_id="one", broker_order_id="not-its-id", at=AT)

    def test_the_rest_of_a_partly_filled_order_is_canceled(self, broker):
        broker.submit(make_request(quantity=Decimal(40)), at=AT)
        broker.advance([opening(volume=100)])
        broker.cancel(client_order_id="one", broker_order_id="", at=tick().at)
        order = broker.find("one")
        assert (order.status, order.filled_quantity, order.reason) == ("canceled", 10, "canceled on request")
        report = broker.reports_since(2)[0]
        assert (report.kind, report.at, report.cumulative_quantity) == ("canceled", tick().at, 10)


class TestCorporateActions:
    def test_a_split_multiplies_the_position_once_and_cancels_orders(self, broker):
        broker.submit(make_request(), at=AT)
        broker.advance([opening("90")])
        broker.submit(make_request("two", order_type="limit", limit_price=Decimal(80), time_in_force="gtc"), at=CLOSE)
        assert broker.apply_split("AAPL", Decimal(2), FRIDAY, at=CLOSE)
        assert not broker.apply_split("AAPL", Decimal(2), FRIDAY, at=CLOSE)
        assert [(p.quantity, p.average_price) for p in broker.positions()] == [(20, 45)]
        assert status_of(broker, "two") == "canceled"
        assert broker.reports_since(3)[0].reason == "canceled by a split"

    def test_a_split_of_what_is_not_held_is_noted(self, broker):
        assert broker.apply_split("IBM", Decimal("0.1"), FRIDAY, at=CLOSE)
        assert broker.positions() == []
        assert not PaperPosition.objects.exists()

    @pytest.mark.parametrize(("side", "cash"), [("buy", "99004.5"), ("sell", "100995.5")])
    def test_a_dividend_is_paid_to_a_long_and_by_a_short_position_once(self, broker, side, cash):
        broker.submit(make_request(side=side), at=AT)
        broker.advance([opening("100")])
        assert broker.pay_dividend("AAPL", Decimal("0.45"), FRIDAY)
        assert not broker.pay_dividend("AAPL", Decimal("0.45"), FRIDAY)
        assert broker.account().cash == Decimal(cash)

    def test_a_dividend_on_nothing_moves_no_cash(self, broker):
        assert broker.pay_dividend("AAPL", Decimal("0.45"), FRIDAY)
        assert broker.account().cash == 100_000


class TestQueries:
    def test_symbols_without_working_orders_cost_one_query(self, broker, django_assert_num_queries):
        broker.submit(make_request(), at=AT)
        quotes = [tick(symbol=f"S{number}") for number in range(500)]
        with django_assert_num_queries(1):
            broker.advance(quotes)
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
        with django_assert_num_queries(1):
            broker.advance([opening()])

    def test_a_day_of_orders_is_a_handful_of_statements(self, broker, django_assert_max_num_queries):
        broker.account()
        requests = [make_request(f"order-{number}", symbol=f"S{number}") for number in range(10)]
        with django_assert_max_num_queries(7):
            broker.submit_many(requests, at=AT)
        with django_assert_max_num_queries(12):
            broker.advance([opening(symbol=f"S{number}") for number in range(10)])


class TestDatabaseAway:
    @pytest.fixture(autouse=True)
    def away(self, monkeypatch):
        def fail(**_):
            raise OperationalError("gone")

        monkeypatch.setattr(adapter, "lock_venue", fail)

    def test_an_entry_may_or_may_not_have_happened(self, broker):
        with pytest.raises(BrokerOutcomeUnknown) as lost:
            broker.submit(make_request(), at=AT)
        assert lost.value.code == "exchange_unavailable"

    def test_a_cancel_can_be_tried_again(self, broker):
        with pytest.raises(BrokerUnavailable):
            broker.cancel(client_order_id="one", broker_order_id="", at=AT)


class TestConstraints:
    @pytest.mark.parametrize(
        "change",
        [
            {"filled_quantity": 11},
            {"status": "filled"},
            {"status": "rejected"},
            {"side": "hold"},
            {"order_type": "limit"},
            {"order_type": "stop"},
            {"stop_price": 1},
            {"quantity": 0},
        ],
    )
    def test_an_impossible_order_is_refused_by_the_database(self, broker, change):
        broker.submit(make_request(), at=AT)
        with pytest.raises(IntegrityError), transaction.atomic():
            PaperOrder.objects.update(**change)

    @pytest.mark.parametrize("column", ["quantity", "price", "fee", "broker_execution_id"])
    def test_a_fill_without_its_numbers_is_refused_by_the_database(self, broker, column):
        broker.submit(make_request(), at=AT)
        order = PaperOrder.objects.get()
        numbers = {"quantity": 10, "price": 100, "fee": 0, "broker_execution_id": uuid4(), column: None}
        with pytest.raises(IntegrityError, match="paperreport_fill_has_numbers"), transaction.atomic():
            PaperReport.objects.create(
                venue=order.venue, sequence=2, order=order, kind="fill", at=AT, cumulative_quantity=10, **numbers
            )

    @pytest.mark.parametrize("change", [{"participation": 0}, {"slippage_model": "guess"}, {"commission_bps": -1}])
    def test_impossible_settings_are_refused_by_the_database(self, broker, change):
        broker.account()
        with pytest.raises(IntegrityError), transaction.atomic():
            PaperVenue.objects.update(**change)

    def test_rows_have_names(self, broker):
        broker.submit(make_request(), at=AT)
        broker.advance([opening()])
        broker.pay_dividend("AAPL", Decimal(1), THURSDAY)
        assert [str(row) for row in PaperReport.objects.order_by("sequence")] == ["#1 accepted", "#2 fill"]
        assert str(PaperVenue.objects.get()) == "desk"
        assert str(PaperOrder.objects.get()) == "buy 10 AAPL one"
        assert str(PaperPosition.objects.get()) == "AAPL 10"
        assert str(PaperMark.objects.get()) == "AAPL opening_auction 2012-06-14T13:30:00Z"
        assert str(PaperVenue.objects.get().corporate_actions.get()) == "AAPL dividend 2012-06-14"
