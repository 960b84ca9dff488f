"""How much of each limit is used, now and at the moment an order was judged. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from execution.selectors import RealtimePnl
from risk.limits import LIMITS, LimitDefinition
from risk.types import LimitValues

ZERO, HUNDRED = Decimal(0), Decimal(100)
NEAR, OVER = Decimal("0.8"), Decimal(1)


@dataclass(frozen=True, slots=True)
class Use:
    """One limit: what it allows, and what is used of it (None where it binds single orders only)."""

    definition: LimitDefinition
    limit: Decimal
    used: Decimal | None = None

    @property
    def share(self) -> Decimal | None:
        """Used part, 1 is all of it."""
        if self.used is None:
            return None
        if self.limit == 0:
            return OVER if self.used > 0 else ZERO
        return max(self.used, ZERO) / self.limit

    @property
    def share_pct(self) -> Decimal | None:
        """Used part in percent, for the bar."""
        return None if self.share is None else (self.share * HUNDRED).quantize(Decimal("0.1"))

    @property
    def headroom(self) -> Decimal | None:
        """What is left, in the limit's unit."""
        return None if self.used is None else max(self.limit - max(self.used, ZERO), ZERO)

    @property
    def tone(self) -> str:
        """`bad` when it is used up, `warn` from four fifths on."""
        share = self.share
        if share is None:
            return ""
        return "bad" if share >= OVER else "warn" if share >= NEAR else "good"


def limit_uses(values: LimitValues, pnl: RealtimePnl, *, week_base: Decimal, orders_this_minute: int) -> list[Use]:
    """Return every limit of the account with its use now; limits that are used come first."""
    used = _used(pnl, week_base, orders_this_minute)
    uses = [Use(item, getattr(values, name), used.get(name)) for name, item in LIMITS.items()]
    return sorted(uses, key=lambda use: use.used is None)


def _used(pnl: RealtimePnl, week_base: Decimal, orders_this_minute: int) -> dict[str, Decimal]:
    now = pnl.summary
    names: dict[str, tuple[Decimal, Decimal]] = {}
    for line in pnl.positions:
        shares, value = names.get(line.symbol, (ZERO, ZERO))
        names[line.symbol] = (shares + line.quantity, value + line.market_value)
    return {
        "max_position_quantity": max((abs(shares) for shares, _ in names.values()), default=ZERO),
        "max_position_notional": max((abs(value) for _, value in names.values()), default=ZERO),
        "max_gross_notional": now.gross_exposure,
        "max_net_notional": abs(now.net_exposure),
        "max_names": Decimal(now.names),
        "max_open_orders": Decimal(now.open_orders),
        "max_orders_per_minute": Decimal(orders_this_minute),
        "daily_loss_pct": _loss_pct(now.day_base_equity, now.equity),
        "weekly_loss_pct": _loss_pct(week_base, now.equity),
    }


def _loss_pct(base: Decimal, equity: Decimal) -> Decimal:
    return max((base - equity) / base * HUNDRED, ZERO) if base > 0 else HUNDRED


def judged_uses(case: Mapping[str, Any]) -> list[tuple[Use, str]]:
    """Return the limits a stored decision compared, with what the order would have led to, and whose they are."""
    limits, found = case.get("limits") or {}, []
    for owner in ("account", "strategy"):
        values = limits.get(owner) or {}
        for name, used in _judged(case, owner):
            limit = number_in(values.get(name))
            if limit is not None and used is not None:
                found.append((Use(LIMITS[name], limit, used), owner))
    return found


def _judged(case: Mapping[str, Any], owner: str) -> Iterator[tuple[str, Decimal | None]]:
    intent, line, totals = case.get("intent") or {}, case.get(f"{owner}_line") or {}, case.get(f"{owner}_totals") or {}
    quantity, reserve = number_in(intent.get("quantity")), number_in(case.get("reserve_price"))
    if quantity is None or reserve is None:
        return
    sign = 1 if intent.get("side") == "buy" else -1
    if owner == "strategy":
        volume, price = number_in(case.get("average_daily_volume")), case.get("price") or {}
        yield "max_order_quantity", quantity
        yield "max_order_notional", quantity * reserve
        yield "max_order_adv_pct", quantity / volume * HUNDRED if volume else None
        yield "max_price_age_seconds", number_in(price.get("age_seconds"))
    reserved = number_in(line.get("open_buy_quantity" if sign > 0 else "open_sell_quantity")) or ZERO
    yield "max_position_quantity", abs((number_in(line.get("quantity")) or ZERO) + sign * (reserved + quantity))
    held = any(number_in(line.get(name)) for name in ("quantity", "open_buy_quantity", "open_sell_quantity"))
    yield "max_names", _plus(totals.get("names"), ZERO if held else Decimal(1))
    yield "max_open_orders", _plus(totals.get("open_orders"), Decimal(1))
    if owner == "account":
        yield "max_orders_per_minute", number_in(case.get("orders_this_minute"))
        yield "daily_loss_pct", _judged_loss(case, "day_base_equity")
        yield "weekly_loss_pct", _judged_loss(case, "week_base_equity")


def _judged_loss(case: Mapping[str, Any], base_name: str) -> Decimal | None:
    base, equity = number_in(case.get(base_name)), number_in(case.get("equity"))
    return None if base is None or equity is None else _loss_pct(base, equity)


def _plus(value: object, more: Decimal) -> Decimal | None:
    found = number_in(value)
    return None if found is None else found + more


def number_in(value: object) -> Decimal | None:
    """Read a number of a stored case; None where there is none, or none that can be compared."""
    if value in (None, ""):
        return None
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return None
    return found if found.is_finite() else None
