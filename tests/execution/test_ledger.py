"""Average cost, exactly: what was paid is either still in the basis or has been realised, to the last decimal."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.ledger import Booking, Lot, average_price, book_fill, rounded, split_lot, unrealized

D = Decimal
ZERO = D(0)

whole_shares = st.integers(min_value=-5_000, max_value=5_000).filter(bool).map(D)
parts_of_shares = st.decimals(min_value=D("-900"), max_value=D("900"), places=8).filter(bool)
cents = st.decimals(min_value=D("0.01"), max_value=D("5000"), places=2)
fine_prices = st.decimals(min_value=D("0.00000001"), max_value=D("5000"), places=8)
trades = st.lists(st.tuples(whole_shares | parts_of_shares, cents | fine_prices), max_size=30)


def book(lot: Lot, *fills: tuple[object, object]) -> tuple[Lot, Decimal, list[Booking]]:
    """Apply fills of (signed shares, price); returns the lot, what was realised, and each booking."""
    realized, bookings = ZERO, []
    for quantity, price in fills:
        booking = book_fill(lot, signed_quantity=D(str(quantity)), price=D(str(price)))
        lot, realized = booking.lot, realized + booking.realized
        bookings.append(booking)
    return lot, realized, bookings


def test_the_worked_example() -> None:
    lot, realized, _ = book(Lot(), (100, 10), (100, 12))
    assert lot == Lot(D(200), D(2200))
    lot, realized, (sold,) = book(lot, (-150, 13))
    assert (lot, realized) == (Lot(D(50), D(550)), D(300))
    assert sold.closed_quantity == 150
    assert sold.cash == 1950


def test_a_short_is_the_mirror_of_a_long() -> None:
    lot, realized, _ = book(Lot(), (-100, 10), (-100, 12), (150, 13))
    assert (lot, realized) == (Lot(D(-50), D(-550)), D(-300))


def test_a_fill_through_zero_closes_all_and_opens_the_rest_at_its_own_price() -> None:
    lot, realized, bookings = book(Lot(), (100, 10), (-250, 11))
    assert (lot, realized) == (Lot(D(-150), D(-1650)), D(100))
    assert bookings[1].closed_quantity == 100
    assert bookings[1].cash == 2750


def test_a_line_that_is_closed_keeps_nothing_of_its_cost() -> None:
    lot, realized, _ = book(Lot(), ("0.33333333", "3.33"), ("0.33333333", "3.37"), ("-0.66666666", "3.41"))
    assert lot == Lot(ZERO, ZERO)
    assert realized == rounded(D("0.66666666") * D("3.41")) - rounded(D("0.33333333") * D("3.33")) - rounded(
        D("0.33333333") * D("3.37")
    )


@given(trades)
def test_basis_less_realised_is_the_sum_of_all_fills(fills: list[tuple[Decimal, Decimal]]) -> None:
    lot, realized, bookings = book(Lot(), *fills)
    assert lot.cost_basis - realized == sum((rounded(quantity * price) for quantity, price in fills), ZERO)
    assert lot.quantity == sum((quantity for quantity, _ in fills), ZERO)
    assert sum((booking.cash for booking in bookings), ZERO) == realized - lot.cost_basis


@given(st.lists(st.tuples(whole_shares, cents), max_size=30))
def test_whole_shares_at_cents_need_no_rounding_at_all(fills: list[tuple[Decimal, Decimal]]) -> None:
    lot, realized, _ = book(Lot(), *fills)
    assert lot.cost_basis - realized == sum((quantity * price for quantity, price in fills), ZERO)


@given(trades)
def test_the_basis_has_the_sign_of_the_shares_and_none_is_left_when_flat(fills: list[tuple[Decimal, Decimal]]) -> None:
    lot = Lot()
    for quantity, price in fills:
        lot = book_fill(lot, signed_quantity=quantity, price=price).lot
        if lot.quantity == 0:
            assert lot.cost_basis == 0
        else:
            assert lot.cost_basis * lot.quantity >= 0


@given(trades)
def test_what_is_closed_is_never_more_than_was_held_or_traded(fills: list[tuple[Decimal, Decimal]]) -> None:
    lot = Lot()
    for quantity, price in fills:
        booking = book_fill(lot, signed_quantity=quantity, price=price)
        assert 0 <= booking.closed_quantity <= min(abs(lot.quantity), abs(quantity))
        if booking.closed_quantity == 0:
            assert booking.realized == 0
        lot = booking.lot


@given(trades, cents)
def test_closing_at_the_mark_realises_what_was_unrealised(fills: list[tuple[Decimal, Decimal]], mark: Decimal) -> None:
    lot, _, _ = book(Lot(), *fills)
    if lot.quantity:
        closing = book_fill(lot, signed_quantity=-lot.quantity, price=mark)
        assert closing.realized == unrealized(lot, mark)


@given(trades, st.sampled_from([D(2), D(3), D("1.5"), D("0.1"), D(7)]))
def test_a_split_keeps_the_cost(fills: list[tuple[Decimal, Decimal]], ratio: Decimal) -> None:
    lot, _, _ = book(Lot(), *fills)
    after = split_lot(lot, ratio)
    assert after.cost_basis == lot.cost_basis
    assert after.quantity == rounded(lot.quantity * ratio)


@pytest.mark.parametrize(
    ("lot", "expected"),
    [(Lot(), None), (Lot(D(3), D(10)), D("3.33333333")), (Lot(D(-4), D(-10)), D("2.5"))],
    ids=["flat", "long", "short"],
)
def test_the_average_price_is_for_display(lot: Lot, expected: Decimal | None) -> None:
    assert average_price(lot) == expected


def test_halves_are_rounded_to_even() -> None:
    assert rounded(D("0.000000005")) == ZERO
    assert rounded(D("0.000000015")) == D("0.00000002")
