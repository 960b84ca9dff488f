"""For each control, what lies one step within its limit, at it, and one step over it: pure cases for the gate."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from risk.limits import LimitBook, Override
from risk.types import DenialCode as Code
from risk.types import OrderType, Origin, SessionView, Side, Totals
from tests.risk.cases import (
    NOW,
    held,
    make_book,
    make_instrument,
    make_intent,
    make_limits,
    make_price,
    make_state,
)

D = Decimal


class Step(NamedTuple):
    """One case and the only code that is to come back, None for an order that passes."""

    fields: dict[str, Any]
    code: Code | None


class Boundary(NamedTuple):
    """Three steps over one edge of one control."""

    number: int
    name: str
    steps: tuple[Step, Step, Step]


def stepped(number: int, code: Code, name: str, observed: int | str, step: int | str = 1, **fields: Any) -> Boundary:
    """The order as it is, under a limit one step above what is observed, at it, and one step below."""
    at, by = D(observed), D(step)
    values = (at + by, None), (at, None), (at - by, code)
    cases = [Step({**fields, "limits": make_limits(**{name: value})}, expected) for value, expected in values]
    return Boundary(number, name, (cases[0], cases[1], cases[2]))


def cases(number: int, name: str, code: Code, *steps: tuple[dict[str, Any], bool]) -> Boundary:
    """Three cases that say themselves whether they pass."""
    made = [Step(fields, None if passes else code) for fields, passes in steps]
    return Boundary(number, name, (made[0], made[1], made[2]))


def limit_order(price: str, **fields: Any) -> Any:
    return make_intent(order_type=OrderType.LIMIT, limit_price=D(price), **fields)


def reducing(holds: int, **fields: Any) -> dict[str, Any]:
    return {"intent": make_intent(side=Side.SELL, **fields), "book": make_book(line=held(holds))}


def session(**fields: Any) -> SessionView:
    return SessionView(**{"phase": "open", "minutes_from_open": 62, "minutes_to_close": 328} | fields)


def equity_of(amount: str) -> dict[str, Any]:
    value = D(amount)
    return {"book": make_book(equity=value, day_base_equity=value, week_base_equity=value)}


def overridden(seconds: int) -> dict[str, Any]:
    """An override to 100 shares over a limit of 50 that ends at NOW, seen so many seconds after that."""
    override = Override(1, "max_order_quantity", "", "", D(100), NOW - timedelta(hours=1), NOW)
    book = LimitBook(rows=(), defaults={"max_order_quantity": D(50)}, version=1, overrides=[override])
    return {"limits": book.resolve(strategy="momentum", symbol="AAPL", at=NOW + timedelta(seconds=seconds))}


LOST = {"equity": D(990_000)}  # and the order may lose 10 more at once, 1.001% of a million together
BOUNDARIES: tuple[Boundary, ...] = (
    cases(
        1, "kill switch", Code.KILL_SWITCH,
        ({}, True),
        ({**reducing(100), "state": make_state(halted_by=("symbol:AAPL",), halt_level="reducing")}, True),
        ({"state": make_state(halted_by=("symbol:AAPL",), halt_level="reducing")}, False),
    ),
    cases(
        2, "breaker", Code.CIRCUIT_BREAKER,
        ({"state": make_state(breaker="open")}, True),
        ({**reducing(100), "state": make_state(breaker="tripped")}, True),
        ({"state": make_state(breaker="tripped")}, False),
    ),
    cases(
        3, "quiet minutes", Code.AUCTION_WINDOW,
        *(({"session": session(minutes_from_open=minutes)}, minutes >= 5) for minutes in (6, 5, 4)),
    ),
    cases(
        3, "price band", Code.LULD_BAND,
        *(
            ({"intent": limit_order(price), "instrument": make_instrument(limit_down=D(95), limit_up=D(105))}, passes)
            for price, passes in (("104.99", True), ("105", True), ("105.01", False))
        ),
    ),
    cases(
        4, "restricted", Code.RESTRICTED,
        ({}, True),
        ({**reducing(100), "instrument": make_instrument(restriction="insider list")}, True),
        ({"instrument": make_instrument(restriction="insider list")}, False),
    ),
    cases(
        4, "hard to borrow", Code.NOT_SHORTABLE,
        *(({**reducing(holds), "instrument": make_instrument(shortable=False)}, holds >= 100)
          for holds in (101, 100, 99)),
    ),
    stepped(5, Code.FAT_FINGER_QUANTITY, "max_order_quantity", 100),
    stepped(6, Code.FAT_FINGER_NOTIONAL, "max_order_notional", 10_000),
    stepped(7, Code.ADV_LIMIT, "max_order_adv_pct", "0.01", "0.001"),
    stepped(8, Code.PRICE_COLLAR, "price_collar_pct", 1, "0.01", intent=limit_order("101")),
    stepped(
        8, Code.NBBO_COLLAR, "nbbo_collar_pct", 1, "0.01",
        intent=limit_order("101"), price=make_price(bid=D(99), ask=D(100)),
    ),
    stepped(
        8, Code.NBBO_COLLAR, "max_nbbo_age_seconds", 60, intent=limit_order("100"), price=make_price(age_seconds=60)
    ),
    stepped(9, Code.PRICE_STALE, "max_price_age_seconds", 60, price=make_price(age_seconds=60)),
    cases(
        9, "crossed", Code.PRICE_UNAVAILABLE,
        *(({"price": make_price(bid=D(bid), ask=D("100.01"))}, passes)
          for bid, passes in (("100", True), ("100.01", True), ("100.02", False))),
    ),
    cases(
        10, "tick", Code.INVALID_PRICE,
        *(({"intent": limit_order(price)}, passes) for price, passes in
          (("100.01", True), ("100", True), ("100.001", False))),
    ),
    cases(
        10, "number", Code.INVALID_QUANTITY,
        *(({"intent": make_intent(quantity=D(quantity))}, passes) for quantity, passes in
          (("2", True), ("1", True), ("0", False))),
    ),
    stepped(11, Code.DUPLICATE_ORDER, "max_identical_orders", 5, book=make_book(identical_count=4)),
    stepped(
        11, Code.ORDER_INTERVAL, "min_order_interval_seconds", 30, -1,
        book=make_book(last_order_at=NOW - timedelta(seconds=30)),
    ),
    stepped(12, Code.OPEN_ORDER_LIMIT, "max_open_orders", 5, book=make_book(totals=Totals(open_orders=4))),
    stepped(
        12, Code.SYMBOL_ORDER_LIMIT, "max_open_orders_per_symbol", 5,
        book=make_book(line=held(0, open_order_count=4)),
    ),
    stepped(13, Code.POSITION_LIMIT, "max_position_quantity", 500, book=make_book(line=held(400))),
    stepped(13, Code.NOTIONAL_LIMIT, "max_position_notional", 50_000, book=make_book(line=held(400))),
    stepped(13, Code.SECTOR_LIMIT, "max_sector_notional", 50_000, book=make_book(account_sector=D(40_000))),
    stepped(13, Code.GROSS_LIMIT, "max_gross_notional", 50_000, book=make_book(totals=Totals(gross=D(40_000)))),
    stepped(13, Code.NET_LIMIT, "max_net_notional", 50_000, book=make_book(totals=Totals(net=D(40_000)))),
    stepped(13, Code.NAME_LIMIT, "max_names", 5, book=make_book(totals=Totals(names=4))),
    cases(
        14, "buying power", Code.BUYING_POWER,
        (equity_of("5001"), True), (equity_of("5000"), True), (equity_of("4999"), False),
    ),
    stepped(15, Code.DAILY_LOSS, "daily_loss_pct", "1.001", "0.001", book=make_book(**LOST)),
    stepped(15, Code.WEEKLY_LOSS, "weekly_loss_pct", "1.001", "0.001", book=make_book(**LOST)),
    stepped(
        15, Code.INTRADAY_LOSS, "intraday_loss_pct", "1.001", "0.001",
        book=make_book(**LOST, session_peak_equity=D(1_000_000)),
    ),
    stepped(15, Code.DRAWDOWN, "drawdown_pct", "1.001", "0.001", book=make_book(**LOST, peak_equity=D(1_000_000))),
    stepped(16, Code.TURNOVER_LIMIT, "max_daily_turnover", 50_000, book=make_book(totals=Totals(turnover=D(40_000)))),
    stepped(17, Code.MESSAGE_RATE, "max_messages_per_minute", 5, book=make_book(totals=Totals(messages=4))),
    stepped(17, Code.ORDER_RATE, "max_orders_per_minute", 5, book=make_book(rate_count=4)),
    stepped(18, Code.REPEATED_ORDERS, "max_repeated_orders", 5, book=make_book(run_count=4)),
    cases(
        19, "parent", Code.PARENT_EXCEEDED,
        *(({"intent": make_intent(parent_id=7, slice_number=1), "book": make_book(parent_left=D(left))}, left >= 100)
          for left in (101, 100, 99)),
    ),
    cases(
        20, "own order", Code.SELF_TRADE,
        *(({"intent": limit_order("100.01"), "book": make_book(opposite_price=D(resting))}, passes)
          for resting, passes in (("100.03", True), ("100.02", True), ("100.01", False))),
    ),
    cases(
        21, "reduce-only", Code.REDUCE_ONLY,
        *((reducing(holds, reduce_only=True), holds >= 100) for holds in (101, 100, 99)),
    ),
    cases(
        22, "signals", Code.SIGNALS_STALE,
        ({"intent": make_intent(origin=Origin.RUN), "signal_age": 1}, True),
        ({"intent": make_intent(origin=Origin.RUN), "signal_age": 2}, False),
        ({"intent": make_intent(origin=Origin.RUN), "signal_age": 0}, False),
    ),
    cases(
        22, "model", Code.MODEL_UNAPPROVED,
        ({"intent": make_intent(model_refusal="")}, True),
        ({"intent": make_intent(model_refusal="model alpha_baseline 3 is candidate")}, False),
        ({"intent": make_intent(model_refusal="model alpha_baseline 3 is retired (rolled back)")}, False),
    ),
    cases(
        23, "version", Code.VERSION_MISMATCH,
        ({"state": make_state(release="", version="")}, True),
        ({"state": make_state(release="0123456789ab", version="0123456789ab")}, True),
        ({"state": make_state(release="0123456789ab", version="0123456789ac")}, False),
    ),
    cases(
        24, "reconciliation", Code.RECONCILIATION_PENDING,
        *(({"state": make_state(reconciliation=state)}, state == "clean") for state in ("clean", "pending", "broken")),
    ),
    stepped(25, Code.CLOCK_SKEW, "order_clock_skew_ms", 500, state=make_state(clock_skew_ms=-500)),
    cases(
        26, "end of an override", Code.FAT_FINGER_QUANTITY,
        (overridden(-1), True), (overridden(0), False), (overridden(1), False),
    ),
)  # fmt: skip
