from decimal import Decimal

import pytest

from execution.matching.commission import BpsCommission, FeeSchedule, FreeCommission, PerShareCommission, RegulatoryFees
from execution.matching.holdings import Holding
from execution.matching.pricing import execution_price, is_on_tick, round_against, tick_size, traded_value
from execution.matching.slippage import FixedBpsSlippage, NoSlippage, SquareRootSlippage
from risk.types import Side

D = Decimal


@pytest.mark.parametrize(("price", "tick"), [("1", "0.01"), ("0.9999", "0.0001"), ("500", "0.01")])
def test_tick_is_a_cent_from_one_dollar_up(price, tick):
    assert tick_size(D(price)) == D(tick)


def test_prices_between_ticks_are_told_apart():
    assert is_on_tick(D("10.01"))
    assert not is_on_tick(D("10.005"))
    assert is_on_tick(D("0.5001"))


@pytest.mark.parametrize(
    ("price", "side", "rounded"),
    [("10.001", Side.BUY, "10.01"), ("10.009", Side.SELL, "10.00"), ("0.00001", Side.SELL, "0.0001")],
)
def test_rounding_is_against_us(price, side, rounded):
    assert round_against(D(price), side) == D(rounded)


def test_a_price_moves_against_us_and_stops_at_the_limit():
    assert execution_price(reference=D(100), slippage=D("0.0005"), side=Side.BUY, limit=None) == D("100.05")
    assert execution_price(reference=D(100), slippage=D("0.0005"), side=Side.SELL, limit=None) == D("99.95")
    assert execution_price(reference=D(100), slippage=D("0.0005"), side=Side.BUY, limit=D("100.02")) == D("100.02")
    assert execution_price(reference=D(100), slippage=D("0.0005"), side=Side.SELL, limit=D("99.98")) == D("99.98")


def test_no_slippage_sells_for_nothing():
    assert execution_price(reference=D(5), slippage=D(2), side=Side.SELL, limit=None) == D("0.0001")


def test_value_is_kept_to_eight_decimals():
    assert traded_value(D("0.33333333"), D("10.0001")) == D("3.33336663")


class TestSlippage:
    def test_none(self):
        assert NoSlippage().fraction(quantity=D(5), volume=D(10)) == 0

    def test_fixed(self):
        assert FixedBpsSlippage(D(5)).fraction(quantity=D(5), volume=None) == D("0.0005")

    def test_square_root_of_the_share_of_volume(self):
        model = SquareRootSlippage(coefficient=D(1), volatility_bps=D(200), assumed_participation=D("0.04"))
        assert model.fraction(quantity=D(1), volume=D(100)) == D("0.002")
        assert model.fraction(quantity=D(1), volume=None) == D("0.004")


class TestCommission:
    def test_free(self):
        assert FeeSchedule(commission=FreeCommission()).owed(quantity=D(5), notional=D(500)) == 0

    @pytest.mark.parametrize(
        ("quantity", "notional", "owed"), [("100", "5000", "1"), ("1000", "50000", "5"), ("10", "20", "0.2")]
    )
    def test_per_share_has_a_minimum_and_a_maximum_that_beats_it(self, quantity, notional, owed):
        model = PerShareCommission(per_share=D("0.005"), minimum=D(1), max_bps=D(100))
        assert model.total(quantity=D(quantity), notional=D(notional)) == D(owed)

    def test_per_share_without_a_maximum(self):
        assert PerShareCommission(per_share=D("0.005"), minimum=D(1)).total(quantity=D(1), notional=D(1)) == 1

    def test_the_minimum_is_charged_once_an_order(self):
        schedule = FeeSchedule(commission=PerShareCommission(per_share=D("0.005"), minimum=D(1)))
        first = execution(schedule, before="0", quantity="100")
        second = execution(schedule, before="100", quantity="200")
        assert (first, second) == (D("1.0000"), D("0.5000"))

    def test_basis_points_are_rounded_up_to_four_decimals(self):
        schedule = FeeSchedule(commission=BpsCommission(D("0.5")))
        assert schedule.owed(quantity=D(1), notional=D("10.01")) == D("0.0006")

    def test_regulatory_fees_are_for_sales(self):
        schedule = FeeSchedule(
            regulatory=RegulatoryFees(sec_rate=D("0.0000278"), taf_per_share=D("0.000166"), taf_maximum=D("8.30"))
        )
        assert execution(schedule, before="0", quantity="100") == 0
        assert execution(schedule, before="0", quantity="100", side=Side.SELL) == D("0.0278") + D("0.0166")
        assert execution(schedule, before="0", quantity="100000", side=Side.SELL) == D("27.8") + D("8.30")

    def test_activity_fee_without_a_maximum(self):
        assert RegulatoryFees(taf_per_share=D("0.001")).of_sale(quantity=D(10**6), notional=D(1)) == 1000


def execution(schedule, *, before, quantity, side=Side.BUY):
    price = D(10)
    return schedule.of_execution(
        side=side, before_quantity=D(before), before_notional=D(before) * price, quantity=D(quantity), price=price
    )


class TestHolding:
    def test_growing_averages_the_price(self):
        assert Holding(D(100), D(10)).after_trade(D(100), D(20)) == Holding(D(200), D(15))
        assert Holding(D(-100), D(10)).after_trade(D(-100), D(20)) == Holding(D(-200), D(15))

    def test_shrinking_keeps_the_price_and_flat_is_flat(self):
        assert Holding(D(100), D(10)).after_trade(D(-40), D(20)) == Holding(D(60), D(10))
        assert Holding(D(100), D(10)).after_trade(D(-100), D(20)) == Holding()

    def test_what_crosses_zero_opens_at_the_trade(self):
        assert Holding(D(100), D(10)).after_trade(D(-150), D(20)) == Holding(D(-50), D(20))

    def test_split_keeps_the_cost(self):
        assert Holding(D(-100), D(90)).after_split(D(2)) == Holding(D(-200), D(45))
        assert Holding(D("0.00000001"), D(90)).after_split(D("0.1")) == Holding()
