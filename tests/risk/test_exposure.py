"""What has passed a limit, what has to go, and the order that takes it there."""

import pytest

from risk.exposure import HeldLine, Passed, next_reduction, passed_limits, worsening
from risk.limits import LimitBook, LimitRow
from risk.types import Side
from tests.risk.cases import D

WIDE = 10**9
HOLDINGS = ("max_position_quantity", "max_position_notional", "max_gross_notional", "max_net_notional", "max_names")


def line(symbol="AAPL", quantity=100, mark=100, strategy="manual", **fields):
    return HeldLine(strategy=strategy, symbol=symbol, quantity=D(quantity), mark=D(mark), **fields)


def book(rows=(), **limits):
    values = dict.fromkeys(HOLDINGS, WIDE) | limits
    stored = [LimitRow(name, "", "", D(value)) for name, value in values.items()]
    return LimitBook(rows=[*stored, *rows], defaults={}, version=1)


def names_of(passed):
    return [(one.limit_name, one.symbol, one.strategy) for one in passed]


LINES = [line(), line("MSFT", -50)]
# limit, what LINES hold of it
HELD = {
    "max_position_quantity": 100,
    "max_position_notional": 10_000,
    "max_gross_notional": 15_000,
    "max_net_notional": 5_000,
    "max_names": 2,
}


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize(("beside", "is_passed"), [(1, False), (0, False), (-1, True)])
def test_176_a_limit_is_passed_one_below_what_is_held_and_not_at_it(name, beside, is_passed):
    found = passed_limits(LINES, book(**{name: HELD[name] + beside}))
    assert {one.limit_name for one in found} == ({name} if is_passed else set())
    if is_passed:
        assert {"", "manual"} == {one.strategy for one in found}  # the account, and the only strategy in it
        assert found[0].observed == HELD[name]


def test_what_has_to_go_is_said_in_shares_value_or_names():
    paths = {
        "max_position_quantity": "1 shares of AAPL have to go",
        "max_position_notional": "1 shares of AAPL have to go",
        "max_gross_notional": "1.00 of exposure has to go",
        "max_net_notional": "1.00 of exposure has to go",
        "max_names": "close 1 name",
    }
    for name, path in paths.items():
        assert passed_limits(LINES, book(**{name: HELD[name] - 1}))[0].path == path


def test_shares_are_rounded_up_to_lots_and_never_more_than_are_held():
    lots = [line(quantity=100, lot_size=D(10))]
    assert passed_limits(lots, book(max_position_notional=9_999))[0].shed == 10
    assert passed_limits(lots, book(max_position_notional=0))[0].shed == 100


def test_strategies_count_alone_and_together():
    lines = [line(quantity=60), line(quantity=60, strategy="momentum")]
    assert names_of(passed_limits(lines, book(max_position_quantity=100))) == [("max_position_quantity", "AAPL", "")]
    own = LimitRow("max_position_quantity", "momentum", "", D(59))
    assert names_of(passed_limits(lines, book([own]))) == [("max_position_quantity", "AAPL", "momentum")]


def test_long_and_short_of_two_strategies_cancel_in_the_account_alone():
    lines = [line(quantity=60), line(quantity=-60, strategy="momentum")]
    assert names_of(passed_limits(lines, book(max_position_quantity=50))) == [
        ("max_position_quantity", "AAPL", "manual"),
        ("max_position_quantity", "AAPL", "momentum"),
    ]


def test_flat_lines_pass_nothing():
    assert passed_limits([line(quantity=0)], book(max_names=0, max_position_quantity=0)) == []


@pytest.mark.parametrize(
    ("passed", "on", "sign", "worse"),
    [
        (("max_position_quantity", "AAPL", ""), line(), 1, True),
        (("max_position_quantity", "AAPL", ""), line(), -1, False),
        (("max_position_quantity", "AAPL", ""), line("MSFT"), 1, False),
        (("max_position_quantity", "AAPL", "other"), line(), 1, False),
        (("max_position_quantity", "AAPL", ""), line(quantity=-5), -1, True),
        (("max_position_quantity", "AAPL", ""), line(quantity=-5), 1, False),
        (("max_gross_notional", "", ""), line(), 1, True),
        (("max_gross_notional", "", ""), line(quantity=0), -1, True),
        (("max_names", "", ""), line(), 1, False),
        (("max_names", "", ""), line(quantity=0), 1, True),
    ],
)
def test_which_orders_make_it_worse(passed, on, sign, worse):
    limit_name, symbol, strategy = passed
    assert worsening([Passed(limit_name, symbol, strategy, D(1), D(2), D(1))], on, sign) == worse


def first(lines, limits):
    return next_reduction(passed_limits(lines, limits)[0], lines)


def test_the_reduction_is_as_large_as_it_has_to_be():
    found = first([line(quantity=120)], book(max_position_quantity=100))
    assert (found.side, found.quantity, found.symbol) == (Side.SELL, 20, "AAPL")
    short = first([line(quantity=-120)], book(max_position_quantity=100))
    assert (short.side, short.quantity) == (Side.BUY, 20)


def test_after_the_reduction_the_limit_is_kept():
    for name in ("max_position_quantity", "max_position_notional", "max_gross_notional"):
        lines, limits = [line(quantity=137, mark=73)], book(**{name: 5_000 if "notional" in name else 50})
        cut = first(lines, limits)
        assert passed_limits([line(quantity=137 - cut.quantity, mark=73)], limits) == []
        assert passed_limits([line(quantity=137 - cut.quantity + 1, mark=73)], limits) != []


def test_of_the_book_the_largest_line_goes_first_and_of_the_net_the_side_that_is_too_large():
    lines = [line(quantity=10), line("MSFT", -300), line("IBM", 200)]
    assert first(lines, book(max_gross_notional=40_000)).symbol == "MSFT"
    assert first([line("IBM", 200), line("MSFT", -100)], book(max_net_notional=9_000)).symbol == "IBM"


def test_of_too_many_names_the_smallest_goes_whole():
    found = first([line(quantity=10), line("MSFT", -3)], book(max_names=1))
    assert (found.symbol, found.side, found.quantity) == ("MSFT", Side.BUY, 3)


def test_what_is_being_reduced_already_is_not_sold_twice():
    lines = [line(quantity=120, open_sell_quantity=D(120))]
    assert first(lines, book(max_position_quantity=100)) is None
    partly = [line(quantity=120, open_sell_quantity=D(110))]
    assert first(partly, book(max_position_quantity=100)).quantity == 10
