"""The gate as a whole: every rule can refuse, all refusals are told, and none are told that are only noise."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.checks import FORM_CHECKS, RULE_CHECKS, STATE_CHECKS
from risk.gate import evaluate, loss_per_share, reserve_price
from risk.types import DenialCode, Exposure, OrderType, Origin, SessionView, Side, TimeInForce, Totals
from tests.risk.cases import (
    NOW,
    D,
    held,
    make_book,
    make_case,
    make_instrument,
    make_intent,
    make_limits,
    make_price,
    make_state,
)

PRE = SessionView(phase="pre", minutes_from_open=-60, minutes_to_close=450)
OPENING = SessionView(phase="open", minutes_from_open=0, minutes_to_close=390)

# One case for each rule that breaks that rule and no other.
ONLY: dict[DenialCode, dict] = {
    DenialCode.KILL_SWITCH: {"state": make_state(halted_by=("global",))},
    DenialCode.CIRCUIT_BREAKER: {"state": make_state(breaker="tripped")},
    DenialCode.RECONCILIATION_PENDING: {"state": make_state(reconciliation="pending")},
    DenialCode.STRATEGY_DISABLED: {"state": make_state(strategy_enabled=False)},
    DenialCode.VERSION_MISMATCH: {"state": make_state(release="0123456789ab", version="ba9876543210")},
    DenialCode.CLOCK_SKEW: {"state": make_state(clock_skew_ms=-1_001)},
    DenialCode.SIGNALS_STALE: {"intent": make_intent(origin=Origin.RUN), "signal_age": 2},
    DenialCode.MODEL_UNAPPROVED: {"intent": make_intent(model_refusal="model alpha_baseline 3 is not signed")},
    DenialCode.INVALID_QUANTITY: {"intent": make_intent(quantity=D("NaN"))},
    DenialCode.INVALID_PRICE: {"intent": make_intent(order_type=OrderType.LIMIT, limit_price=D(-1))},
    DenialCode.INVALID_COMBINATION: {"intent": make_intent(time_in_force=TimeInForce.GTC)},
    DenialCode.UNKNOWN_INSTRUMENT: {"instrument": None},
    DenialCode.NOT_TRADABLE: {"instrument": make_instrument(tradable=False)},
    DenialCode.RESTRICTED: {"instrument": make_instrument(restriction="insider list")},
    DenialCode.HALTED: {"instrument": make_instrument(halted=True, halt_reason="news pending")},
    DenialCode.MARKET_CLOSED: {"session": PRE},
    DenialCode.AUCTION_WINDOW: {"session": OPENING},
    DenialCode.PRICE_UNAVAILABLE: {"price": None},
    DenialCode.PRICE_STALE: {"price": make_price(age_seconds=1801)},
    DenialCode.PRICE_COLLAR: {"intent": make_intent(order_type=OrderType.LIMIT, limit_price=D(89))},
    DenialCode.NBBO_COLLAR: {
        "intent": make_intent(order_type=OrderType.LIMIT, limit_price=D(101)),
        "limits": make_limits(nbbo_collar_pct=D("0.98")),
    },
    DenialCode.LULD_BAND: {
        "intent": make_intent(order_type=OrderType.LIMIT, limit_price=D("105.01")),
        "instrument": make_instrument(limit_down=D(95), limit_up=D(105)),
    },
    DenialCode.FAT_FINGER_QUANTITY: {"limits": make_limits(max_order_quantity=D(99))},
    DenialCode.FAT_FINGER_NOTIONAL: {"limits": make_limits(max_order_notional=D(9_999))},
    DenialCode.ADV_LIMIT: {"instrument": make_instrument(average_daily_volume=None)},
    DenialCode.REDUCE_ONLY: {"intent": make_intent(reduce_only=True)},
    DenialCode.NOT_SHORTABLE: {"intent": make_intent(side=Side.SELL), "instrument": make_instrument(shortable=False)},
    DenialCode.PARENT_EXCEEDED: {"intent": make_intent(parent_id=7), "book": make_book(parent_left=D(99))},
    DenialCode.SELF_TRADE: {"book": make_book(opposite_price=D("100.01"))},
    DenialCode.ORDER_INTERVAL: {"book": make_book(last_order_at=NOW - timedelta(seconds=1))},
    DenialCode.ORDER_RATE: {"book": make_book(rate_count=300)},
    DenialCode.MESSAGE_RATE: {"book": make_book(totals=Totals(messages=600))},
    DenialCode.DUPLICATE_ORDER: {"book": make_book(identical_count=10)},
    DenialCode.REPEATED_ORDERS: {"book": make_book(run_count=60)},
    DenialCode.OPEN_ORDER_LIMIT: {"book": make_book(totals=Totals(open_orders=1_000))},
    DenialCode.SYMBOL_ORDER_LIMIT: {"book": make_book(line=held(0, open_order_count=100))},
    DenialCode.POSITION_LIMIT: {"book": make_book(line=held(901, mark="0.01"))},
    DenialCode.NOTIONAL_LIMIT: {"book": make_book(line=held(900, mark=101))},
    DenialCode.SECTOR_LIMIT: {"book": make_book(account_sector=D(490_001))},
    DenialCode.GROSS_LIMIT: {"book": make_book(totals=Totals(gross=D(490_001)))},
    DenialCode.NET_LIMIT: {"book": make_book(totals=Totals(net=D(490_001)))},
    DenialCode.NAME_LIMIT: {"book": make_book(totals=Totals(names=20))},
    DenialCode.TURNOVER_LIMIT: {"book": make_book(totals=Totals(turnover=D(19_990_001)))},
    DenialCode.BUYING_POWER: {"book": make_book(margin_multiplier=D("0.009"))},
    DenialCode.DAILY_LOSS: {"book": make_book(equity=D(980_000))},
    DenialCode.WEEKLY_LOSS: {"book": make_book(week_base_equity=D(1_100_000))},
    DenialCode.INTRADAY_LOSS: {"book": make_book(session_peak_equity=D(1_040_000))},
    DenialCode.DRAWDOWN: {"book": make_book(peak_equity=D(1_120_000))},
}  # fmt: skip


def codes(case):
    return [denial.code for denial in evaluate(case)[1]]


def test_the_good_case_passes():
    assert codes(make_case()) == []


@pytest.mark.parametrize("code", DenialCode)
def test_every_rule_refuses_alone(code):
    _, denials = evaluate(make_case(**ONLY[code]))
    assert [denial.code for denial in denials] == [code]
    stored = denials[0].as_dict()
    assert stored["code"] == code
    assert all(stored[name] for name in ("message", "limit", "observed"))


def test_all_denials_are_reported_in_the_order_of_the_codes():
    hopeless = make_case(
        intent=make_intent(
            quantity=D(100_000),
            order_type=OrderType.LIMIT,
            limit_price=D(150),
            reduce_only=True,
            origin=Origin.RUN,
            parent_id=7,
            model_refusal="model alpha_baseline 3 is not signed",
        ),
        state=make_state(
            halted_by=("global",),
            breaker="tripped",
            reconciliation="broken",
            strategy_enabled=False,
            release="0123456789ab",
            version="ba9876543210",
            clock_skew_ms=5_000,
        ),
        instrument=make_instrument(tradable=False, restriction="list", halted=True, limit_down=D(90), limit_up=D(110)),
        price=make_price(age_seconds=9_999),
        book=make_book(
            line=Exposure(mark=D(100)),
            account_line=Exposure(mark=D(100), open_order_count=200),
            totals=Totals(gross=D(10**7), net=D(10**7), names=50, open_orders=5_000, turnover=D(10**9), messages=999),
            equity=D(1),
            rate_count=999,
            last_order_at=NOW,
            account_sector=D(10**7),
            identical_count=99,
            run_count=99,
            opposite_price=D(100),
            session_peak_equity=D(10**6),
            peak_equity=D(10**6),
        ),
    )
    expected = set(DenialCode) - {
        DenialCode.INVALID_QUANTITY,
        DenialCode.INVALID_PRICE,
        DenialCode.INVALID_COMBINATION,
        DenialCode.UNKNOWN_INSTRUMENT,
        DenialCode.MARKET_CLOSED,
        DenialCode.AUCTION_WINDOW,
        DenialCode.PRICE_UNAVAILABLE,
        DenialCode.NOT_SHORTABLE,
    }
    assert codes(hopeless) == [code for code in DenialCode if code in expected]


def test_a_malformed_order_is_judged_by_state_and_form_alone():
    case = make_case(
        intent=make_intent(quantity=D("NaN"), limit_price=D("NaN"), symbol="NOPE"),
        instrument=None,
        price=None,
        state=make_state(halted_by=("global",)),
        book=make_book(totals=Totals(names=50)),
    )
    assert codes(case) == [
        DenialCode.KILL_SWITCH,
        DenialCode.INVALID_QUANTITY,
        DenialCode.INVALID_PRICE,
        DenialCode.INVALID_COMBINATION,
        DenialCode.UNKNOWN_INSTRUMENT,
        DenialCode.PRICE_UNAVAILABLE,
    ]


def test_an_exit_passes_breaker_limits_and_losses_together():
    book = make_book(
        line=held(5_000),
        totals=Totals(gross=D(10**7), net=D(10**7), names=50, open_orders=5_000),
        equity=D(1),
        rate_count=999,
        last_order_at=NOW,
    )
    case = make_case(
        intent=make_intent(side=Side.SELL, quantity=D(1_000), reduce_only=True),
        book=book,
        instrument=make_instrument(restriction="list", shortable=False),
        state=make_state(breaker="tripped", strategy_enabled=False),
        session=OPENING,
    )
    assert codes(case) == []


def test_each_check_is_asked_once():
    asked = [*STATE_CHECKS, *FORM_CHECKS, *RULE_CHECKS]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    ("side", "order_type", "limit", "stop", "expected"),
    [
        (Side.BUY, OrderType.MARKET, None, None, "100"),
        (Side.BUY, OrderType.LIMIT, "90", None, "90"),
        (Side.BUY, OrderType.LIMIT, "110", None, "110"),
        (Side.BUY, OrderType.STOP, None, "105", "105"),
        (Side.BUY, OrderType.STOP, None, "95", "100"),
        (Side.BUY, OrderType.STOP_LIMIT, "106", "105", "106"),
        (Side.SELL, OrderType.MARKET, None, None, "100"),
        (Side.SELL, OrderType.LIMIT, "90", None, "100"),
        (Side.SELL, OrderType.LIMIT, "110", None, "110"),
        (Side.SELL, OrderType.STOP, None, "95", "100"),
        (Side.SELL, OrderType.STOP_LIMIT, "94", "95", "100"),
    ],
)
def test_reserve_price_is_the_worst_a_share_is_counted_at(side, order_type, limit, stop, expected):
    intent = make_intent(
        side=side,
        order_type=order_type,
        limit_price=limit and D(limit),
        stop_price=stop and D(stop),
    )
    assert reserve_price(make_case(intent=intent)) == D(expected)


@pytest.mark.parametrize(
    ("side", "order_type", "limit", "stop", "expected"),
    [
        (Side.BUY, OrderType.MARKET, None, None, "0.1"),
        (Side.SELL, OrderType.MARKET, None, None, "0.1"),
        (Side.BUY, OrderType.LIMIT, "103", None, "3"),
        (Side.BUY, OrderType.LIMIT, "97", None, "0"),
        (Side.SELL, OrderType.LIMIT, "97", None, "3"),
        (Side.SELL, OrderType.LIMIT, "103", None, "0"),
        (Side.BUY, OrderType.STOP, None, "105", "5.1"),
        (Side.SELL, OrderType.STOP, None, "95", "5.1"),
        (Side.SELL, OrderType.STOP, None, "101", "0.1"),
        (Side.BUY, OrderType.STOP_LIMIT, "106", "105", "6"),
    ],
)
def test_loss_per_share_is_what_the_fill_may_cost_at_once(side, order_type, limit, stop, expected):
    intent = make_intent(
        side=side,
        order_type=order_type,
        limit_price=limit and D(limit),
        stop_price=stop and D(stop),
    )
    assert loss_per_share(make_case(intent=intent)) == D(expected)


def test_a_case_without_a_price_has_nothing_to_reserve_at():
    with pytest.raises(ValueError, match="without a price"):
        reserve_price(make_case(price=None))


def test_the_completed_case_carries_what_is_reserved():
    case, denials = evaluate(make_case(intent=make_intent(order_type=OrderType.LIMIT, limit_price=D(101))))
    assert (denials, case.reserve_price, case.loss_per_share, case.notional) == ([], D(101), D(1), D(10_100))


numbers = st.one_of(
    st.none(), st.decimals(), st.decimals(allow_nan=False, allow_infinity=False, min_value=-1, max_value=10**13)
)


@given(
    quantity=numbers.filter(lambda value: value is not None),
    limit=numbers,
    stop=numbers,
    last=numbers,
    bid=numbers,
    ask=numbers,
    side=st.sampled_from(Side),
    order_type=st.sampled_from(OrderType),
    tif=st.sampled_from(TimeInForce),
)
def test_no_number_makes_the_gate_raise(quantity, limit, stop, last, bid, ask, side, order_type, tif):
    intent = make_intent(
        side=side, quantity=quantity, order_type=order_type, time_in_force=tif, limit_price=limit, stop_price=stop
    )
    price = None if last is None else replace(make_price(), last=last, bid=bid, ask=ask)
    case, denials = evaluate(make_case(intent=intent, price=price))
    if not denials:
        assert case.reserve_price > 0
        assert Decimal(0) < case.notional <= case.limits.strategy.max_order_notional


@given(
    holds=st.integers(-3_000, 3_000),
    open_buy=st.integers(0, 500),
    open_sell=st.integers(0, 500),
    quantity=st.integers(1, 4_000),
    side=st.sampled_from(Side),
)
def test_an_accepted_order_never_takes_the_line_further_past_its_limit(holds, open_buy, open_sell, quantity, side):
    line = held(holds, open_buy_quantity=D(open_buy), open_sell_quantity=D(open_sell))
    case = make_case(intent=make_intent(side=side, quantity=D(quantity)), book=make_book(line=line))
    _, denials = evaluate(case)
    after = line.adding(sign=case.intent.sign, quantity=D(quantity), price=D(100)).projected_quantity(case.intent.sign)
    if not denials:
        assert abs(after) <= max(D(1_000), abs(D(holds)))


def test_what_reduces_passes_a_model_that_was_taken_back():
    refusal = "model alpha_baseline 3 is retired (rolled back)"
    held = make_book(line=Exposure(quantity=D(100), mark=D(100)))
    selling = make_intent(side=Side.SELL, model_refusal=refusal)
    assert codes(make_case(intent=selling, book=held)) == []
    assert codes(make_case(intent=make_intent(model_refusal=refusal), book=held)) == [DenialCode.MODEL_UNAPPROVED]
