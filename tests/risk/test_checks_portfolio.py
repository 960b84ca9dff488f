"""What an order would do to the book: every limit is met at limit - 1, limit and limit + 1."""

from dataclasses import replace
from datetime import timedelta

import pytest

from risk.checks import portfolio
from risk.types import DenialCode, Exposure, Side, Totals
from tests.risk.cases import NOW, D, code_of, held, make_book, make_case, make_instrument, make_intent, make_limits

ROOMY = {"account": {name: D(10**9) for name in (
    "max_position_quantity", "max_position_notional", "max_gross_notional", "max_net_notional", "max_names",
    "max_open_orders")}}  # fmt: skip


def buy(quantity, **fields):
    return make_intent(quantity=D(quantity), **fields)


def sell(quantity, **fields):
    return make_intent(side=Side.SELL, quantity=D(quantity), **fields)


@pytest.mark.parametrize(
    ("holds", "intent", "reduces"),
    [
        (0, buy(1), False),
        (0, sell(1), False),
        (10, buy(1), False),
        (10, sell(9), True),
        (10, sell(10), True),
        (10, sell(11), False),
        (-10, sell(1), False),
        (-10, buy(9), True),
        (-10, buy(10), True),
        (-10, buy(11), False),
        (10, sell("NaN"), False),
    ],
)
def test_what_reduces(holds, intent, reduces):
    case = make_case(intent=intent, book=make_book(line=held(holds)))
    assert case.reduces is reduces
    marked = replace(case, intent=replace(intent, reduce_only=True))
    assert code_of(portfolio.check_reduce_only(marked)) == (None if reduces else DenialCode.REDUCE_ONLY)
    assert portfolio.check_reduce_only(case) is None


@pytest.mark.parametrize(("quantity", "reduces"), [(4, True), (5, True), (6, False)])
def test_open_orders_of_the_same_side_count_before_an_order_reduces(quantity, reduces):
    book = make_book(line=held(10, open_sell_quantity=D(5), open_buy_quantity=D(100)))
    assert make_case(intent=sell(quantity), book=book).reduces is reduces


@pytest.mark.parametrize(("quantity", "passes"), [(9, True), (10, True), (11, False)])
def test_short_sale_of_what_cannot_be_borrowed(quantity, passes):
    instrument = make_instrument(shortable=False)
    book = make_book(line=held(15, open_sell_quantity=D(5)))
    denial = portfolio.check_shortable(make_case(intent=sell(quantity), instrument=instrument, book=book))
    assert code_of(denial) == (None if passes else DenialCode.NOT_SHORTABLE)


def test_shorting_is_asked_only_of_sales_and_known_names():
    assert portfolio.check_shortable(make_case(instrument=make_instrument(shortable=False))) is None
    assert portfolio.check_shortable(make_case(intent=sell(10))) is None
    assert portfolio.check_shortable(make_case(intent=sell(10), instrument=None)) is None


@pytest.mark.parametrize(("seconds", "passes"), [(-1, False), (0, False), (29, False), (30, True), (31, True)])
def test_interval_between_orders_of_one_name_and_strategy(seconds, passes):
    case = make_case(book=make_book(last_order_at=NOW - timedelta(seconds=seconds)))
    assert code_of(portfolio.check_order_interval(case)) == (None if passes else DenialCode.ORDER_INTERVAL)


def test_interval_is_not_asked_of_the_first_a_reducing_order_or_when_switched_off():
    just_now = make_book(line=held(100), last_order_at=NOW)
    assert portfolio.check_order_interval(make_case()) is None
    assert portfolio.check_order_interval(make_case(intent=sell(100), book=just_now)) is None
    off = make_limits(min_order_interval_seconds=D(0))
    assert portfolio.check_order_interval(make_case(book=just_now, limits=off)) is None


@pytest.mark.parametrize(("already", "passes"), [(299, True), (300, False), (301, False)])
def test_orders_in_one_minute(already, passes):
    case = make_case(book=make_book(rate_count=already))
    assert code_of(portfolio.check_order_rate(case)) == (None if passes else DenialCode.ORDER_RATE)
    exit_case = make_case(intent=sell(100), book=make_book(line=held(100), rate_count=already))
    assert portfolio.check_order_rate(exit_case) is None


@pytest.mark.parametrize(("already", "passes"), [(998, True), (999, True), (1_000, False)])
def test_open_orders_at_a_time(already, passes):
    case = make_case(book=make_book(totals=Totals(open_orders=already)))
    assert code_of(portfolio.check_open_orders(case)) == (None if passes else DenialCode.OPEN_ORDER_LIMIT)
    exit_case = make_case(intent=sell(1), book=make_book(line=held(1), totals=Totals(open_orders=already)))
    assert portfolio.check_open_orders(exit_case) is None


@pytest.mark.parametrize(
    ("side", "held_now", "open_now", "quantity", "passes"),
    [
        (Side.BUY, 0, 0, 999, True),
        (Side.BUY, 0, 0, 1_000, True),
        (Side.BUY, 0, 0, 1_001, False),
        (Side.BUY, 400, 300, 300, True),
        (Side.BUY, 400, 300, 301, False),
        (Side.SELL, 0, 0, 1_000, True),
        (Side.SELL, 0, 0, 1_001, False),
        (Side.SELL, -400, 300, 300, True),
        (Side.SELL, -400, 300, 301, False),
        (Side.SELL, 1_000, 0, 2_000, True),  # through zero to the limit on the other side
        (Side.SELL, 1_000, 0, 2_001, False),
    ],
)
def test_shares_held_in_one_name(side, held_now, open_now, quantity, passes):
    name = "open_buy_quantity" if side == Side.BUY else "open_sell_quantity"
    book = make_book(line=held(held_now, **{name: D(open_now)}))
    denial = portfolio.check_position_quantity(
        make_case(intent=make_intent(side=side, quantity=D(quantity)), book=book)
    )
    assert code_of(denial) == (None if passes else DenialCode.POSITION_LIMIT)


def test_orders_of_the_other_side_make_no_room():
    book = make_book(line=held(1_000, open_sell_quantity=D(1_000)))
    assert portfolio.check_position_quantity(make_case(intent=buy(1), book=book)) is not None


@pytest.mark.parametrize(("holds", "intent"), [(5_000, sell(1_000)), (-5_000, buy(1_000)), (5_000, sell(5_000))])
def test_a_position_above_a_lowered_limit_can_be_reduced(holds, intent):
    case = make_case(intent=intent, book=make_book(line=held(holds)))
    assert portfolio.check_position_quantity(case) is None


def test_a_position_above_a_lowered_limit_can_neither_grow_nor_flip_beyond_it():
    book = make_book(line=held(5_000))
    assert portfolio.check_position_quantity(make_case(intent=buy(1), book=book)) is not None
    assert portfolio.check_position_quantity(make_case(intent=sell(6_001), book=book)) is not None


@pytest.mark.parametrize(("quantity", "passes"), [(999, True), (1_000, True), (1_001, False)])
@pytest.mark.parametrize("side", Side)
def test_value_held_in_one_name(side, quantity, passes):
    case = make_case(intent=make_intent(side=side, quantity=D(quantity)))
    assert code_of(portfolio.check_position_notional(case)) == (None if passes else DenialCode.NOTIONAL_LIMIT)


def test_value_held_counts_open_orders_at_their_price():
    line = held(100, open_buy_quantity=D(500), open_buy_notional=D(60_000))
    at_limit = make_case(intent=buy(300), book=make_book(line=line))
    above = make_case(intent=buy(301), book=make_book(line=line))
    assert portfolio.check_position_notional(at_limit) is None
    assert code_of(portfolio.check_position_notional(above)) == DenialCode.NOTIONAL_LIMIT


def test_value_above_a_lowered_limit_can_be_reduced():
    case = make_case(intent=sell(5_000), book=make_book(line=held(5_000)))
    assert portfolio.check_position_notional(case) is None


@pytest.mark.parametrize(("quantity", "passes"), [(999, True), (1_000, True), (1_001, False)])
@pytest.mark.parametrize("side", Side)
def test_gross_exposure(side, quantity, passes):
    book = make_book(totals=Totals(gross=D(400_000)))
    case = make_case(intent=make_intent(side=side, quantity=D(quantity)), book=book)
    assert code_of(portfolio.check_gross(case)) == (None if passes else DenialCode.GROSS_LIMIT)


def test_gross_above_a_lowered_limit_can_be_reduced_but_not_raised():
    book = make_book(line=held(1_000), totals=Totals(gross=D(900_000)))
    assert portfolio.check_gross(make_case(intent=sell(1_000), book=book)) is None
    assert code_of(portfolio.check_gross(make_case(intent=buy(1), book=book))) == DenialCode.GROSS_LIMIT


@pytest.mark.parametrize(("quantity", "passes"), [(999, True), (1_000, True), (1_001, False)])
@pytest.mark.parametrize(
    ("side", "totals"),
    [
        (Side.BUY, Totals(net=D(300_000), open_buy_notional=D(100_000))),
        (Side.SELL, Totals(net=D(-300_000), open_sell_notional=D(100_000))),
    ],
)
def test_net_exposure(side, totals, quantity, passes):
    case = make_case(intent=make_intent(side=side, quantity=D(quantity)), book=make_book(totals=totals))
    assert code_of(portfolio.check_net(case)) == (None if passes else DenialCode.NET_LIMIT)


def test_net_above_the_limit_can_be_reduced_even_by_covering_a_short():
    book = make_book(line=held(-100), totals=Totals(net=D(600_000)))
    assert portfolio.check_net(make_case(intent=buy(100), book=book)) is None
    assert code_of(portfolio.check_net(make_case(intent=buy(101), book=book))) == DenialCode.NET_LIMIT


@pytest.mark.parametrize(("names", "passes"), [(18, True), (19, True), (20, False)])
def test_number_of_names(names, passes):
    denial = portfolio.check_names(make_case(book=make_book(totals=Totals(names=names))))
    assert code_of(denial) == (None if passes else DenialCode.NAME_LIMIT)


@pytest.mark.parametrize("line", [held(1), Exposure(open_buy_quantity=D(1)), Exposure(open_sell_quantity=D(1))])
def test_a_name_that_is_held_or_wanted_already_is_no_new_name(line):
    assert portfolio.check_names(make_case(book=make_book(line=line, totals=Totals(names=20)))) is None


def test_a_name_another_strategy_holds_is_new_to_this_strategy_only():
    book = make_book(account_line=held(5), totals=Totals(names=20), account_totals=Totals(names=25))
    denial = portfolio.check_names(make_case(book=book))
    assert denial is not None
    assert denial.scope == "strategy:momentum"


@pytest.mark.parametrize(("quantity", "passes"), [(999, True), (1_000, True), (1_001, False)])
def test_buying_power_is_equity_times_the_multiplier(quantity, passes):
    book = make_book(equity=D(200_000), totals=Totals(gross=D(300_000)))
    denial = portfolio.check_buying_power(make_case(intent=buy(quantity), book=book))
    assert code_of(denial) == (None if passes else DenialCode.BUYING_POWER)
    if denial is not None:
        assert "is free" in denial.message


@pytest.mark.parametrize("equity", [0, -5_000])
def test_without_equity_only_exits_pass(equity):
    book = make_book(line=held(10), equity=D(equity), totals=Totals(gross=D(1_000)))
    assert code_of(portfolio.check_buying_power(make_case(intent=buy(1), book=book))) == DenialCode.BUYING_POWER
    assert portfolio.check_buying_power(make_case(intent=sell(10), book=book)) is None


LOSSES = [
    (portfolio.check_daily_loss, DenialCode.DAILY_LOSS, "day_base_equity", 20_000),
    (portfolio.check_weekly_loss, DenialCode.WEEKLY_LOSS, "week_base_equity", 50_000),
]


@pytest.mark.parametrize(("check", "code", "base", "allowed"), LOSSES)
@pytest.mark.parametrize(("off", "passes"), [(-1, True), (0, False), (1, False)])
def test_loss_since_the_base(check, code, base, allowed, off, passes):
    book = make_book(**{"equity": D(1_000_000 - allowed - off), base: D(1_000_000)})
    assert code_of(check(make_case(book=book))) == (None if passes else code)


@pytest.mark.parametrize(("check", "code", "base", "allowed"), LOSSES)
@pytest.mark.parametrize(("off", "passes"), [(-1, True), (0, True), (1, False)])
def test_loss_counts_what_open_orders_and_this_one_may_lose(check, code, base, allowed, off, passes):
    reserved = D(allowed) - 10_000 - 100 + off  # 10,000 lost, 100 shares at 1 a share
    book = make_book(equity=D(990_000), totals=Totals(reserved_loss=reserved), **{base: D(1_000_000)})
    denial = check(make_case(book=book, loss_per_share=D(1)))
    assert code_of(denial) == (None if passes else code)
    if denial is not None:
        assert denial.observed == f"{allowed + off}.00"


@pytest.mark.parametrize(("check", "code", "base", "allowed"), LOSSES)
def test_after_the_loss_what_reduces_may_still_go(check, code, base, allowed):
    book = make_book(line=held(100), equity=D(1), **{base: D(1_000_000)})
    assert check(make_case(intent=sell(100), book=book)) is None
    assert code_of(check(make_case(intent=buy(1), book=book))) == code


@pytest.mark.parametrize("base_equity", [0, -1])
@pytest.mark.parametrize(("check", "code", "base", "allowed"), LOSSES)
def test_without_a_base_to_measure_from_nothing_is_added(check, code, base, allowed, base_equity):
    assert code_of(check(make_case(book=make_book(**{base: D(base_equity)})))) == code


@pytest.mark.parametrize(
    ("check", "book", "code"),
    [
        (portfolio.check_position_quantity, {"line": held(0), "account_line": held(1_000)}, DenialCode.POSITION_LIMIT),
        (portfolio.check_position_notional, {"line": held(0), "account_line": held(1_000)}, DenialCode.NOTIONAL_LIMIT),
        (portfolio.check_gross, {"account_totals": Totals(gross=D(500_000))}, DenialCode.GROSS_LIMIT),
        (portfolio.check_net, {"account_totals": Totals(net=D(500_000))}, DenialCode.NET_LIMIT),
        (portfolio.check_names, {"account_totals": Totals(names=20)}, DenialCode.NAME_LIMIT),
        (portfolio.check_open_orders, {"account_totals": Totals(open_orders=1_000)}, DenialCode.OPEN_ORDER_LIMIT),
    ],
)
def test_other_strategies_use_up_the_accounts_room(check, book, code):
    denial = check(make_case(book=make_book(**book)))
    assert denial is not None
    assert (denial.code, denial.scope) == (code, "account")


@pytest.mark.parametrize(
    ("check", "book"),
    [
        (portfolio.check_position_quantity, {"line": held(1_000)}),
        (portfolio.check_position_notional, {"line": held(1_000)}),
        (portfolio.check_gross, {"totals": Totals(gross=D(500_000))}),
        (portfolio.check_net, {"totals": Totals(net=D(500_000))}),
        (portfolio.check_names, {"totals": Totals(names=20)}),
        (portfolio.check_open_orders, {"totals": Totals(open_orders=1_000)}),
    ],
)
def test_a_strategy_has_its_own_limit_where_the_account_has_room(check, book):
    denial = check(make_case(book=make_book(**book), limits=make_limits(**ROOMY)))
    assert denial is not None
    assert denial.scope == "strategy:momentum"
