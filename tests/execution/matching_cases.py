"""Orders and events for tests of the matching engine: one session, 2012-06-14, New York hours in UTC."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from execution.matching.engine import MatchingRules, Outcome, match_event
from execution.matching.events import ClosingAuction, OpeningAuction, PriceEvent, QuoteTick, SessionHours
from execution.matching.orders import WorkingOrder
from risk.types import OrderType, Side, TimeInForce

DAY = date(2012, 6, 14)
NEXT_DAY = date(2012, 6, 15)
OPEN = datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
CLOSE = datetime(2012, 6, 14, 20, 0, tzinfo=UTC)
BEFORE_OPEN = OPEN - timedelta(minutes=25)
HOURS = SessionHours(
    date=DAY, opens_at=OPEN, closes_at=CLOSE, auctions_enterable_at=OPEN - timedelta(hours=14, minutes=30)
)
NEXT_HOURS = SessionHours(
    date=NEXT_DAY,
    opens_at=OPEN + timedelta(days=1),
    closes_at=CLOSE + timedelta(days=1),
    auctions_enterable_at=CLOSE + timedelta(hours=3),
)
FREE = MatchingRules(participation=Decimal(1))


def make_order(**fields: Any) -> WorkingOrder:
    """Make a market day order to buy 100 A, entered before the open."""
    words = {"side": Side, "order_type": OrderType, "time_in_force": TimeInForce}
    values: dict[str, Any] = {
        "sequence": 1,
        "symbol": "A",
        "side": "buy",
        "order_type": "market",
        "time_in_force": "day",
        "quantity": 100,
        "session_date": DAY,
        "active_after": BEFORE_OPEN,
        **fields,
    }
    for name, word in words.items():
        values[name] = word(values[name])
    for name in ("quantity", "limit_price", "stop_price", "filled_quantity", "filled_notional"):
        if values.get(name) is not None:
            values[name] = Decimal(str(values[name]))
    return WorkingOrder(**values)


def opening(price: str = "100", volume: str | None = None, at: datetime = OPEN) -> OpeningAuction:
    """Make the opening auction."""
    return OpeningAuction("A", Decimal(price), None if volume is None else Decimal(volume), at)


def closing(price: str = "100", volume: str | None = None, at: datetime = CLOSE) -> ClosingAuction:
    """Make the closing auction."""
    return ClosingAuction("A", Decimal(price), None if volume is None else Decimal(volume), at)


def tick(
    last: str = "100", *, bid: str | None = None, ask: str | None = None, volume: str | None = None, minute: int = 1
) -> QuoteTick:
    """Make a quote, `minute` minutes after the open."""
    at = OPEN + timedelta(minutes=minute)
    bid_price, ask_price, size = (None if text is None else Decimal(text) for text in (bid, ask, volume))
    return QuoteTick("A", bid_price, ask_price, Decimal(last), size, at)


def run(*orders: WorkingOrder, event: PriceEvent, rules: MatchingRules = FREE) -> list[Outcome]:
    """Match the event of the session."""
    return match_event(event, orders, hours=HOURS, rules=rules)


def kinds(outcomes: list[Outcome]) -> list[str]:
    """List what happened."""
    return [outcome.kind for outcome in outcomes]


def told(outcomes: list[Outcome]) -> list[tuple[int, str, Decimal, Decimal]]:
    """List who, what, how many, at which price."""
    return [(o.order.sequence, o.kind, o.quantity, o.price) for o in outcomes]
