"""What an open order holds of the limits follows from the order alone, so a release is exact."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.ledger import rounded
from execution.models import Order, Position
from execution.reservation import HOLDS_NOTHING, Reservation, apply, reservation_of, reserve
from execution.states import OPEN, TERMINAL, OrderStatus

D = Decimal


def order(**fields: object) -> Order:
    return Order(
        **{
            "side": "buy",
            "quantity": D(10),
            "filled_quantity": D(0),
            "reserve_price": D("100.5"),
            "loss_per_share": D("0.1"),
            "status": OrderStatus.ACCEPTED,
        }
        | fields
    )


def test_a_buy_holds_the_buying_side() -> None:
    assert reservation_of(order()) == Reservation(buy_quantity=D(10), buy_notional=D(1005), loss=D(1), orders=1)


def test_a_sale_holds_the_selling_side() -> None:
    assert reservation_of(order(side="sell")) == Reservation(
        sell_quantity=D(10), sell_notional=D(1005), loss=D(1), orders=1
    )


def test_what_is_filled_is_held_no_longer() -> None:
    assert reservation_of(order(filled_quantity=D(4))) == Reservation(
        buy_quantity=D(6), buy_notional=D(603), loss=D("0.6"), orders=1
    )


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_order_that_is_over_holds_nothing(status: OrderStatus) -> None:
    assert reservation_of(order(status=status)) == Reservation()


@pytest.mark.parametrize("status", sorted(OPEN - HOLDS_NOTHING))
def test_an_order_holds_its_leaves_in_every_other_open_status(status: OrderStatus) -> None:
    assert reservation_of(order(status=status)).buy_quantity == 10


@pytest.mark.parametrize("status", sorted(HOLDS_NOTHING))
def test_a_held_leg_and_a_covered_original_hold_nothing(status: OrderStatus) -> None:
    assert reservation_of(order(status=status)) == Reservation()


def test_a_successor_holds_what_its_original_may_still_trade() -> None:
    assert reservation_of(order(cover_quantity=D(15))).buy_quantity == 15


def test_of_two_legs_of_which_one_cancels_the_other_one_holds() -> None:
    assert reservation_of(order(order_class="bracket", leg_role="stop_loss")) == Reservation()
    assert reservation_of(order(order_class="bracket", leg_role="take_profit")).buy_quantity == 10
    assert reservation_of(order(order_class="oto", leg_role="stop_loss")).buy_quantity == 10


amounts = st.decimals(min_value=D("0.00000001"), max_value=D(10_000), places=8)


@given(
    st.sampled_from(["buy", "sell"]), st.lists(amounts, min_size=1, max_size=8), amounts, st.decimals(0, 10, places=8)
)
def test_a_row_that_follows_every_step_ends_at_zero(
    side: str, fills: list[Decimal], price: Decimal, loss: Decimal
) -> None:
    row = Position()
    one = order(side=side, quantity=sum(fills, D(0)), reserve_price=price, loss_per_share=loss)
    apply(row, reservation_of(one))
    for quantity in fills:
        before = reservation_of(one)
        one.filled_quantity += quantity
        one.status = OrderStatus.FILLED if one.filled_quantity == one.quantity else OrderStatus.PARTIALLY_FILLED
        apply(row, reservation_of(one).minus(before))
        assert row.open_buy_notional + row.open_sell_notional == rounded(one.leaves_quantity * price)
    sums = (row.open_buy_quantity, row.open_sell_quantity, row.open_buy_notional, row.open_sell_notional)
    assert (*sums, row.reserved_loss, row.open_order_count) == (0, 0, 0, 0, 0, 0)


def test_nothing_left_is_still_one_order() -> None:
    assert reserve(side="sell", leaves=D(0), price=D(5), loss_per_share=D(0)).orders == 1
