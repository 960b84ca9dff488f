"""Plans: the whole quantity, inside the window, repeatable, within the volume."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from execution.errors import PlanRefused
from execution.slicing.curve import DEFAULT_CURVE, Session, VolumeCurve
from execution.slicing.draws import LARGEST_SEED, Draws, seed_of
from execution.slicing.plan import SHORTEST_PART, PlannedSlice, Window, Wish, plan_slices, window_of
from execution.slicing.states import Algo

D = Decimal
OPEN = datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
CLOSE = datetime(2012, 6, 14, 20, 0, tzinfo=UTC)
SESSION = Session(OPEN, CLOSE)
HALF_DAY = Session(datetime(2012, 7, 3, 13, 30, tzinfo=UTC), datetime(2012, 7, 3, 17, 0, tzinfo=UTC))
QUIET = timedelta(minutes=5)
ELEVEN = datetime(2012, 6, 14, 15, 0, tzinfo=UTC)
HOUR = Window(ELEVEN, ELEVEN + timedelta(hours=1))


def wish(**fields: Any) -> Wish:
    values: dict[str, Any] = {
        "algo": Algo.TWAP,
        "quantity": D(1_000),
        "lot_size": D(1),
        "slices": 12,
        "seed": 7,
        "max_participation": D("0.1"),
        "average_daily_volume": D(10_000_000),
    }
    return Wish(**values | fields)


def plan(window: Window = HOUR, session: Session = SESSION, **fields: Any) -> list[PlannedSlice]:
    return plan_slices(wish(**fields), window, session, DEFAULT_CURVE)


@given(
    algo=st.sampled_from(Algo),
    lots=st.integers(1, 5_000),
    lot=st.sampled_from([D(1), D(10), D(100)]),
    odd=st.sampled_from([D(0), D("0.5")]),
    slices=st.integers(1, 120),
    seed=st.integers(0, LARGEST_SEED),
    start=st.integers(0, 380),
    minutes=st.integers(1, 390),
    session=st.sampled_from([SESSION, HALF_DAY]),
)
def test_149_the_slices_are_the_whole_quantity_in_whole_lots_inside_the_window_and_in_order(
    algo: Algo,
    lots: int,
    lot: Decimal,
    odd: Decimal,
    slices: int,
    seed: int,
    start: int,
    minutes: int,
    session: Session,
) -> None:
    at = session.opens_at + timedelta(minutes=start)
    assume(at + SHORTEST_PART + QUIET <= session.closes_at)
    window = window_of(at=at, duration=timedelta(minutes=minutes), session=session, quiet=QUIET)
    fields = {"algo": algo, "quantity": lots * lot + odd, "lot_size": lot, "slices": slices, "seed": seed}
    fields |= {"average_daily_volume": D(10**12)}
    made = plan(window, session, **fields)
    assert sum(each.quantity for each in made) == lots * lot + odd
    assert all(each.quantity >= lot for each in made)
    assert all(each.quantity % lot == 0 for each in made[:-1])
    assert (made[-1].quantity - odd) % lot == 0
    assert [each.number for each in made] == list(range(1, len(made) + 1))
    assert all(window.starts_at <= each.due_at < window.ends_at for each in made)
    assert window.ends_at <= session.closes_at - QUIET
    assert all(first.due_at < second.due_at for first, second in pairwise(made))
    assert all(each.quantity <= each.max_quantity <= each.quantity * 2 for each in made)
    assert plan(window, session, **fields) == made


def test_149_what_does_not_divide_goes_to_slices_that_the_seed_chooses() -> None:
    plans = [[each.quantity for each in plan(quantity=D(1_003), seed=seed)] for seed in range(20)]
    assert all(sorted(made)[0] == 83 and max(made) == 84 and made.count(D(84)) == 7 for made in plans)
    assert len({tuple(made) for made in plans}) > 10


def test_150_the_times_are_not_predictable_and_no_two_are_closer_than_half_a_part() -> None:
    times = [[each.due_at for each in plan(seed=seed)] for seed in range(20)]
    assert len({tuple(each) for each in times}) == 20
    for each in times:
        assert min(second - first for first, second in pairwise(each)) > timedelta(minutes=2, seconds=30)


def test_150_the_same_name_has_the_same_seed_on_every_machine() -> None:
    assert seed_of("my-order-1") == 2_709_767_254_479_371_648
    assert seed_of("a") != seed_of("b")
    assert [Draws(7, "times").below(1_000) for _ in range(2)] == [Draws(7, "times").below(1_000)] * 2


def test_there_are_no_more_slices_than_lots_and_than_minutes() -> None:
    assert len(plan(quantity=D(5))) == 5
    assert len(plan(Window(ELEVEN, ELEVEN + timedelta(minutes=7)))) == 7
    assert len(plan(quantity=D(300), lot_size=D(100))) == 3


def test_vwap_follows_the_curve() -> None:
    day = Window(OPEN, CLOSE)
    made = plan(day, algo=Algo.VWAP, quantity=D(10_000), slices=13)
    assert [int(each.quantity) for each in made] == pytest.approx(
        [1_300, 900, 750, 650, 600, 550, 500, 500, 550, 600, 700, 900, 1_500], abs=4
    )


def test_a_half_day_has_the_whole_shape_in_less_time() -> None:
    day = Window(HALF_DAY.opens_at, HALF_DAY.closes_at)
    made = plan(day, HALF_DAY, algo=Algo.VWAP, quantity=D(10_000), slices=13)
    assert int(made[0].quantity) == pytest.approx(1_300, abs=4)
    assert int(made[-1].quantity) == pytest.approx(1_500, abs=4)


def test_a_measured_curve_says_where_it_is_from() -> None:
    curve = VolumeCurve.of([D(1), D(3)], "measured: a test")
    assert curve.parts == (D("0.25"), D("0.75"))
    assert curve.between(D("0.25"), D("0.75")) == D("0.5")
    assert curve.until(D(2)) == 1
    with pytest.raises(ValueError, match="above 0"):
        VolumeCurve.of([D(0), D(0)], "nothing")


def test_the_assumed_curve_is_whole() -> None:
    assert sum(DEFAULT_CURVE.parts) == 1


def test_151_a_window_past_the_close_is_shortened_to_the_last_minute_that_is_allowed() -> None:
    late = CLOSE - timedelta(minutes=30)
    window = window_of(at=late, duration=timedelta(hours=1), session=SESSION, quiet=timedelta(0))
    assert (window.ends_at, window.shortened) == (CLOSE - timedelta(minutes=1), True)
    window = window_of(at=late, duration=timedelta(hours=1), session=SESSION, quiet=QUIET)
    assert (window.ends_at, window.shortened) == (CLOSE - QUIET, True)
    exact = window_of(at=late, duration=timedelta(minutes=29), session=SESSION, quiet=timedelta(0))
    assert (exact.ends_at, exact.shortened) == (CLOSE - timedelta(minutes=1), False)


def test_151_less_than_a_minute_is_refused_with_the_close_in_the_message() -> None:
    last = CLOSE - timedelta(minutes=2)
    assert window_of(at=last, duration=timedelta(hours=1), session=SESSION, quiet=timedelta(0)).shortened
    with pytest.raises(PlanRefused, match="closes at 2012-06-14 20:00") as refused:
        window_of(at=last + timedelta(seconds=1), duration=timedelta(hours=1), session=SESSION, quiet=timedelta(0))
    assert refused.value.field == "duration_minutes"


def test_151_a_half_day_ends_early() -> None:
    at = HALF_DAY.closes_at - timedelta(minutes=30)
    window = window_of(at=at, duration=timedelta(hours=1), session=HALF_DAY, quiet=timedelta(0))
    assert window.ends_at == HALF_DAY.closes_at - timedelta(minutes=1)


def test_before_the_open_the_window_begins_with_it() -> None:
    window = window_of(at=OPEN - timedelta(minutes=20), duration=timedelta(hours=1), session=SESSION, quiet=QUIET)
    assert window.starts_at == OPEN + QUIET
    assert window.ends_at == OPEN + QUIET + timedelta(hours=1)


@pytest.mark.parametrize(("quantity", "passes"), [(D(9_999), True), (D(10_000), True), (D(10_001), False)])
def test_the_order_keeps_to_its_part_of_the_daily_volume(quantity: Decimal, passes: bool) -> None:
    day = Window(OPEN, CLOSE)
    fields: dict[str, Any] = {"quantity": quantity, "average_daily_volume": D(100_000), "algo": Algo.VWAP, "slices": 1}
    if passes:
        assert plan(day, **fields)
        return
    with pytest.raises(PlanRefused, match=r"the order has 10001 shares.*10% of that is allowed: 10000"):
        plan(day, **fields)


@pytest.mark.parametrize(("quantity", "passes"), [(D(499), True), (D(500), True), (D(501), False)])
def test_a_slice_keeps_to_its_part_of_what_its_time_is_expected_to_trade(quantity: Decimal, passes: bool) -> None:
    noon = Window(OPEN + timedelta(minutes=180), OPEN + timedelta(minutes=210))  # 5% of the day's volume
    fields: dict[str, Any] = {"quantity": quantity, "average_daily_volume": D(100_000), "slices": 1}
    if passes:
        assert plan(noon, **fields)[0].max_quantity == 500
        return
    with pytest.raises(PlanRefused, match="the slice of 16:30 UTC has 501 shares"):
        plan(noon, **fields)


def test_without_a_known_volume_nothing_is_planned() -> None:
    with pytest.raises(PlanRefused, match="volume is not known") as refused:
        plan(average_daily_volume=None)
    assert refused.value.field == "symbol"


def test_less_than_a_lot_is_refused() -> None:
    with pytest.raises(PlanRefused, match="at least one lot"):
        plan(quantity=D(99), lot_size=D(100))
