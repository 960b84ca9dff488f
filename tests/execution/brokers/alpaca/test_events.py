"""Whatever a frame of the trade updates says, it becomes one message, and nothing is raised."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.brokers.alpaca.events import read_frame
from execution.services.inbox import Message, fill_key, status_key
from execution.services.updates import Update

D = Decimal
AT = datetime(2012, 6, 14, 15, 0, 1, 250_000, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ORDER = {"id": "B-1", "client_order_id": "one", "status": "partially_filled", "filled_qty": "4", "qty": "10"}
FILL = {
    "event": "partial_fill",
    "execution_id": "E-1",
    "timestamp": "2012-06-14T15:00:01.250000123Z",
    "price": "100.10",
    "qty": "4",
    "position_qty": "4",
    "order": ORDER,
}


def frame(order: dict[str, Any] | None = None, **data: Any) -> str:
    told = {**FILL, **data, "order": {**ORDER, **(order or {})}}
    return json.dumps({"stream": "trade_updates", "data": {k: v for k, v in told.items() if v is not None}})


def told(raw: str | bytes) -> Update:
    update = read_frame(raw, received_at=NOW)
    assert update is not None
    return update


def message(order: dict[str, Any] | None = None, **data: Any) -> Message:
    return told(frame(order, **data)).message


def test_a_fill_is_of_this_execution_alone_and_its_key_of_the_orders_total() -> None:
    found = message()
    assert (found.kind, found.quantity, found.price, found.cumulative_quantity) == ("fill", 4, D("100.10"), 4)
    assert (found.key, found.broker_execution_id, found.at) == (fill_key("B-1", D(4)), "E-1", AT)
    assert (found.client_order_id, found.broker_order_id) == ("one", "B-1")
    assert found.payload["order"]["qty"] == "10"


def test_text_and_binary_frames_say_the_same() -> None:
    assert told(frame()).message == told(frame().encode()).message


def test_numbers_may_come_as_json_numbers_and_stay_exact() -> None:
    assert message(price=100.1, qty=4).price == D("100.1")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("new", "accepted"),
        ("accepted", "accepted"),
        ("canceled", "canceled"),
        ("expired", "expired"),
        ("rejected", "rejected"),
        ("replaced", "replaced"),
        ("order_cancel_rejected", "cancel_rejected"),
        ("order_replace_rejected", "replace_rejected"),
    ],
)
def test_events_that_change_the_book(event: str, kind: str) -> None:
    found = message(event=event)
    assert (found.kind, found.key, found.quantity) == (kind, status_key("B-1", kind, AT), None)
    assert found.cumulative_quantity == 4


@pytest.mark.parametrize(
    "event",
    ["pending_new", "pending_cancel", "pending_replace", "done_for_day", "stopped", "calculated", "suspended",
     "restated", "held", "moon_phase", "", 7],
)  # fmt: skip
def test_other_events_are_kept_and_change_nothing(event: Any) -> None:
    found = message(event=event)
    assert (found.kind, found.payload["event"]) == ("", event)
    assert found.key.startswith("event:")


def test_a_leg_that_waits_for_its_entry_is_not_accepted() -> None:
    assert message({"status": "held"}, event="new").kind == ""


def test_a_status_nobody_knows_changes_nothing_about_the_event() -> None:
    assert message({"status": "on_holiday"}).kind == "fill"
    assert message({"status": "on_holiday"}, event="canceled").kind == "canceled"


def test_the_last_fill_says_that_the_order_is_whole() -> None:
    assert told(frame({"status": "filled", "filled_qty": "10"}, event="fill")).is_whole
    assert not told(frame()).is_whole
    assert not told(frame({"status": "filled"}, event="canceled")).is_whole


@pytest.mark.parametrize("order", [{"filled_qty": None}, {"filled_qty": "many"}, {"filled_qty": True}])
def test_a_fill_without_the_orders_total_is_left_to_rest(order: dict[str, Any]) -> None:
    assert message(order).kind == ""


@pytest.mark.parametrize("at", ["yesterday", None, 5, "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_without_a_readable_time_a_fact_is_left_to_rest(at: Any) -> None:
    found = message(timestamp=at)
    assert (found.kind, found.at) == ("", NOW)


def test_the_orders_own_time_stands_in_for_the_events() -> None:
    assert message({"updated_at": "2012-06-14T15:00:01.25Z"}, timestamp="soon").at == AT


def test_a_reason_is_taken_from_wherever_it_is() -> None:
    assert message(event="rejected", reason="no shares to borrow").reason == "no shares to borrow"
    assert message({"reject_reason": "halted"}, event="rejected").reason == "halted"


@pytest.mark.parametrize("name", ["authorization", "listening"])
def test_answers_to_our_own_requests_are_no_message(name: str) -> None:
    assert read_frame(json.dumps({"stream": name, "data": {}}), received_at=NOW) is None


@pytest.mark.parametrize(
    "raw",
    ["", "{", b"\xff\xfe\x00", "[]", "null", "7", '"text"', "NaN", '{"stream":"trade_updates"}', "[" * 100_000,
     '{"stream":"trade_updates","data":[]}', '{"stream":"trade_updates","data":{"order":{}}}', '{"stream":"news"}',
     '{"stream":"trade_updates","data":{"order":{"id":null}}}', "9" * 5_000],
)  # fmt: skip
def test_what_cannot_be_read_is_kept_whole_and_once(raw: str | bytes) -> None:
    found = told(raw).message
    assert (found.kind, found.key) == ("", told(raw).message.key)
    assert found.key.startswith("unreadable:")
    assert found.reason
    assert len(found.payload["raw"]) <= 20_000


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["fill", "new", "1", "-1", "NaN"]),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(sorted(FILL)), children, max_size=6)
    ),
    max_leaves=12,
)


@given(
    order=st.dictionaries(st.sampled_from(sorted(ORDER)), JSON),
    data=st.dictionaries(st.sampled_from(sorted(FILL)), JSON),
)
def test_nothing_in_a_frame_is_ever_raised(order: dict[str, Any], data: dict[str, Any]) -> None:
    raw = json.dumps({"stream": "trade_updates", "data": {**FILL, "order": {**ORDER, **order}, **data}})
    assert read_frame(raw, received_at=NOW) is not None


@given(st.binary(max_size=200))
def test_no_bytes_are_ever_raised(raw: bytes) -> None:
    read_frame(raw, received_at=NOW)
