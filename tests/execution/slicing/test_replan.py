"""The rest planned anew: all of it that fits, none in a burst."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from execution.slicing.draws import Draws
from execution.slicing.replan import Rest, Slot, late_slot, replan
from execution.slicing.states import (
    PARENT_OVER,
    PARENT_TRANSITIONS,
    ParentStatus,
    may_become,
)
from execution.slicing.terms import slice_limit
from risk.types import Side

D = Decimal
START = datetime(2012, 6, 14, 15, 0, tzinfo=UTC)
END = START + timedelta(hours=1)


def slots(quantities: list[int], each: int = 5) -> list[Slot]:
    return [
        Slot(index + 1, START + timedelta(minutes=each * index), D(quantity), D(quantity * 2))
        for index, quantity in enumerate(quantities)
    ]


def rest(left: int, at_minute: int, quantities: list[int], lot: int = 1) -> Rest:
    at = START + timedelta(minutes=at_minute)
    return replan(left=D(left), slots=slots(quantities), at=at, ends_at=END, lot_size=D(lot), draws=Draws(1, "plan 2"))


def test_144_what_was_missed_is_spread_over_what_is_to_come_and_not_sent_in_one_burst() -> None:
    found = rest(1_000, 22, [100] * 10)  # five are due, the newest of them stands for all
    assert [slot.number for slot in found.missed] == [1, 2, 3, 4]
    assert [slot.number for slot in found.slots] == [5, 6, 7, 8, 9, 10]
    assert sum(slot.quantity for slot in found.slots) == 1_000
    assert max(slot.quantity for slot in found.slots) <= 200
    assert found.unplanned == 0


def test_144_what_does_not_fit_without_a_burst_stays_and_is_told() -> None:
    found = rest(1_000, 41, [100] * 10)  # two slots are left, 200 each at most
    assert [slot.quantity for slot in found.slots] == [200, 200]
    assert found.unplanned == 600


def test_after_the_window_nothing_is_planned() -> None:
    found = rest(1_000, 60, [100] * 10)
    assert (found.slots, len(found.missed), found.unplanned) == ((), 10, 1_000)


@given(
    quantities=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    left=st.integers(0, 2_000),
    at_minute=st.integers(-5, 70),
    lot=st.sampled_from([1, 10]),
)
def test_a_new_plan_loses_nothing_and_no_slot_outgrows_its_limit(
    quantities: list[int], left: int, at_minute: int, lot: int
) -> None:
    found = rest(left * lot, at_minute, [quantity * lot for quantity in quantities], lot)
    assert sum((slot.quantity for slot in found.slots), D(0)) + found.unplanned == left * lot
    assert all(0 <= slot.quantity <= slot.max_quantity and slot.quantity % lot == 0 for slot in found.slots)
    assert len(found.slots) + len(found.missed) == len(quantities)
    if found.slots and found.unplanned:
        assert all(slot.quantity == slot.max_quantity for slot in found.slots)


def test_what_comes_back_after_the_last_slice_gets_one_more_at_the_same_pace() -> None:
    last = slots([100])[0]
    part = timedelta(minutes=5)
    late = late_slot(left=D(300), like=last, number=13, part=part, at=START, ends_at=END)
    assert late == Slot(13, START + part, D(200), D(200))
    assert late_slot(left=D(300), like=last, number=13, part=part, at=END - part, ends_at=END) is None
    assert late_slot(left=D(0), like=last, number=13, part=part, at=START, ends_at=END) is None


def limit(side: Side, last: str, bps: str | None, own: str | None = None) -> Decimal | None:
    return slice_limit(
        side=side,
        last=D(last),
        offset_bps=None if bps is None else D(bps),
        limit_price=None if own is None else D(own),
        tick_size=D("0.01"),
    )


def test_a_limit_follows_the_last_price_and_never_passes_the_orders_own() -> None:
    assert limit(Side.BUY, "100", None) is None
    assert limit(Side.BUY, "100", None, "99") == 99
    assert limit(Side.BUY, "100", "10") == D("100.10")
    assert limit(Side.SELL, "100", "10") == D("99.90")
    assert limit(Side.BUY, "100", "10", "100.05") == D("100.05")
    assert limit(Side.SELL, "100", "10", "99.95") == D("99.95")
    assert limit(Side.BUY, "33.333", "7") == D("33.35")  # 33.3563 down to the tick
    assert limit(Side.SELL, "33.333", "7") == D("33.31")  # 33.3097 up to it
    assert limit(Side.BUY, "0.5555", "10") == D("0.5560")


def test_what_is_over_stays_over() -> None:
    for before in ParentStatus:
        assert may_become(before, before) is (before not in PARENT_OVER)
        if before in PARENT_OVER:
            assert not PARENT_TRANSITIONS[before]
