"""For each control, a desk on the edge of it: what still passes, what does not, and what shuts it altogether."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from execution.models import Account, BrokerLink, ParentOrder, Slice, Strategy
from execution.slicing.states import Algo, SliceStatus
from marketdata.models import Instrument, Quote, TradingStatus
from risk.models import LimitOverride, Release
from risk.services import breaker, kill_switch
from risk.services.limits import restrict_instrument
from risk.services.overrides import approve_override, request_override, revoke_override
from risk.types import DenialCode as Code
from risk.types import OrderType, Origin, Side
from tests.factories import MARKET_AT, WALL_NOW, allow, allow_bursts, make_account, submit

D = Decimal
Wish = Callable[[int], dict[str, Any]]
REASON = "a test of the controls"


def limit(number: int) -> dict[str, Any]:
    """Ten shares a cent further below the market each time: every wish is another one."""
    return {"quantity": D(10), "order_type": OrderType.LIMIT, "limit_price": D(100) - D(number) / 100}


def named(number: int) -> dict[str, Any]:
    """The same terms each time under another key."""
    return {"quantity": D(10), "idempotency_key": f"wish-{number}"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A control at work.

    `prepare` sets the desk up so that `room` of the wishes pass; `excess` are wishes over the limit whatever went
    before (otherwise those after the room is used up). `shut` is what turns a control of state; before it all pass.
    """

    number: int
    codes: tuple[Code, ...]
    prepare: Callable[[Account], None] = lambda account: None
    wish: Wish = limit
    excess: Wish | None = None
    room: int = 3
    shut: Callable[[Account], None] | None = None

    def begin(self) -> Account:
        """Make the desk."""
        allow_bursts()
        account = make_account()
        self.prepare(account)
        return account

    def over(self, number: int) -> dict[str, Any]:
        """Return a wish that is over the limit once the room is used up, or the control is shut."""
        return (self.excess or self.wish)(number)

    def exhaust(self, account: Account) -> None:
        """Bring the desk to where the next order over the limit must be denied."""
        for number in range(self.room if self.shut is None else 1):
            result = submit(account, **self.wish(number))
            if not result.accepted:
                raise AssertionError(f"control {self.number}: {result.denials} before its limit")
        if self.shut is not None:
            self.shut(account)


def of_limits(**limits: int | str) -> Callable[[Account], None]:
    return lambda account: allow(**limits)


def engage(account: Account) -> None:
    kill_switch.engage(scope="symbol:AAPL", operator="ann", reason=REASON, source="command", now=WALL_NOW)


def trip(account: Account) -> None:
    breaker.trip(scope=account.scope, operator="ann", reason=REASON, now=WALL_NOW)


def halt(account: Account) -> None:
    TradingStatus.objects.create(
        feed=account.feed,
        instrument=Instrument.objects.get(symbol="AAPL"),
        halted=True,
        status_at=MARKET_AT,
        source="test",
    )


def restrict(account: Account) -> None:
    instrument = Instrument.objects.get(symbol="AAPL")
    restrict_instrument(instrument=instrument, operator="ann", reason=REASON, now=WALL_NOW)


def let_the_price_age(account: Account) -> None:
    Quote.objects.filter(feed=account.feed).update(at=MARKET_AT - timedelta(minutes=31))


def poor(account: Account) -> None:
    """Equity of 1,600 carries three orders of ten shares for 1,000 at a margin of two, and not four."""
    Account.objects.filter(pk=account.pk).update(starting_cash=1_600, cash=1_600)


def rest_a_sale(account: Account) -> None:
    sale = {"side": Side.SELL, "order_type": OrderType.LIMIT, "limit_price": D("100.50")}
    assert submit(account, **sale).accepted


PARENT = 7_001


def parent_of_ten(account: Account) -> None:
    """A parent for ten shares whose first slice, all of it, is being sent."""
    parent = ParentOrder.objects.create(
        id=PARENT,
        account=account,
        strategy=Strategy.objects.get(name="manual"),
        instrument=Instrument.objects.get(symbol="AAPL"),
        client_order_id="whole",
        intent_key="0" * 64,
        side=Side.BUY,
        quantity=D(10),
        algo=Algo.TWAP,
        duration_minutes=30,
        wished_slices=3,
        max_participation=D("0.1"),
        origin=Origin.API,
        starts_at=MARKET_AT,
        ends_at=MARKET_AT + timedelta(minutes=30),
        seed=7,
        average_daily_volume=D(10_000_000),
        curve_source="test",
        trading_date=MARKET_AT.date(),
        market_at=MARKET_AT,
    )
    Slice.objects.create(
        parent=parent,
        number=1,
        due_at=MARKET_AT,
        quantity=D(10),
        max_quantity=D(10),
        status=SliceStatus.CLAIMED,
        claim=uuid4(),
        claimed_until=WALL_NOW + timedelta(minutes=1),
    )


def child(number: int) -> dict[str, Any]:
    return {**limit(number), "origin": Origin.SLICE, "parent_id": PARENT, "slice_number": number + 1}


def announce_another(account: Account) -> None:
    Release.objects.create(version="000000000000", operator="ann", at=WALL_NOW)


def unreconcile(account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.BROKEN)


def skew(account: Account) -> None:
    BrokerLink.objects.update_or_create(account=account, defaults={"clock_skew_milliseconds": 1_001})


def override(account: Account) -> None:
    allow(max_order_quantity=5)
    asked = request_override(
        name="max_order_quantity",
        value=D(10),
        valid_until=WALL_NOW + timedelta(hours=1),
        operator="ann",
        reason=REASON,
        now=WALL_NOW,
    )
    approve_override(override_id=asked.pk, operator="bob", now=WALL_NOW)


def end_override(account: Account) -> None:
    running = LimitOverride.objects.get()
    revoke_override(override_id=running.pk, operator="cleo", reason=REASON, now=WALL_NOW)


def with_(**fields: Any) -> Wish:
    return lambda number: limit(number) | fields


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(1, (Code.KILL_SWITCH,), shut=engage),
    Scenario(2, (Code.CIRCUIT_BREAKER,), shut=trip),
    Scenario(3, (Code.HALTED,), shut=halt),
    Scenario(4, (Code.RESTRICTED,), shut=restrict),
    Scenario(
        5, (Code.FAT_FINGER_QUANTITY,), of_limits(max_order_quantity=10), excess=with_(quantity=D(11))
    ),
    Scenario(
        6, (Code.FAT_FINGER_NOTIONAL,), of_limits(max_order_notional=1_000), excess=with_(quantity=D(11))
    ),
    Scenario(
        7, (Code.ADV_LIMIT,), of_limits(max_order_adv_pct="0.0001"), excess=with_(quantity=D(11))
    ),
    Scenario(
        8, (Code.PRICE_COLLAR, Code.NBBO_COLLAR), of_limits(price_collar_pct=1, nbbo_collar_pct=1),
        excess=lambda number: limit(number) | {"limit_price": D("101.02") + D(number) / 100},
    ),
    Scenario(9, (Code.PRICE_STALE,), shut=let_the_price_age),
    Scenario(10, (Code.INVALID_PRICE,), excess=with_(limit_price=D("99.999"))),
    Scenario(11, (Code.DUPLICATE_ORDER,), of_limits(max_identical_orders=3, identical_window_seconds=60), named),
    Scenario(12, (Code.SYMBOL_ORDER_LIMIT,), of_limits(max_open_orders_per_symbol=3)),
    Scenario(13, (Code.SECTOR_LIMIT,), of_limits(max_sector_notional=3_500)),
    Scenario(14, (Code.BUYING_POWER,), poor),
    Scenario(15, (Code.DAILY_LOSS,), of_limits(daily_loss_pct="0.0035"), named),  # a market order may cost 1
    Scenario(16, (Code.TURNOVER_LIMIT,), of_limits(max_daily_turnover=3_500)),
    Scenario(17, (Code.MESSAGE_RATE,), of_limits(max_messages_per_minute=3)),
    Scenario(18, (Code.REPEATED_ORDERS, Code.STRATEGY_DISABLED), of_limits(max_repeated_orders=3)),
    Scenario(
        19, (Code.PARENT_EXCEEDED,), parent_of_ten, child, room=1,
        excess=lambda number: child(number) | {"quantity": D(11)},
    ),
    Scenario(
        20, (Code.SELF_TRADE,), rest_a_sale,
        excess=lambda number: limit(number) | {"limit_price": D("100.50") + D(number) / 100},
    ),
    Scenario(21, (Code.REDUCE_ONLY,), excess=with_(reduce_only=True)),
    Scenario(
        22, (Code.SIGNALS_STALE, Code.MODEL_UNAPPROVED), wish=with_(origin=Origin.RUN),
        excess=lambda number: with_(origin=Origin.RUN)(number) | (
            {"model_refusal": "it is a candidate"} if number % 2 else {"signals_as_of": date(2012, 6, 12)}
        ),
    ),
    Scenario(23, (Code.VERSION_MISMATCH,), shut=announce_another),
    Scenario(24, (Code.RECONCILIATION_PENDING,), shut=unreconcile),
    Scenario(25, (Code.CLOCK_SKEW,), shut=skew),
    Scenario(26, (Code.FAT_FINGER_QUANTITY,), override, shut=end_override),
)  # fmt: skip
