"""What is written of one judged intent: the row of the write statement, and the case as it is kept for explanations."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from execution.gateway.book import Book
from execution.gateway.rows import ItemRow
from execution.gateway.tally import counts_in_a_row
from execution.identity import client_order_id, exact
from execution.reservation import Reservation, reserve
from execution.states import OrderStatus
from risk.states import DecisionOutcome
from risk.types import Case, Denial, EffectiveLimits, Exposure, LimitValues, OrderIntent, Totals

CODES_LENGTH, SYMBOL_LENGTH, STRATEGY_LENGTH = 400, 32, 40


def order_row(
    *,
    position: int,
    book: Book,
    case: Case,
    row: ItemRow,
    key: str,
    attempt: int,
    denials: list[Denial],
    warnings: Sequence[Denial] = (),
    entry_position: int | None = None,
) -> dict[str, Any]:
    """Return one row of the write statement.

    An intent without a usable number or price has no reserve price and is not storable: its decision is kept, with
    what was asked as text, and no order. `entry_position` makes it a leg of the row at that position: it is held.
    """
    intent = case.intent
    storable = case.reserve_price > 0
    is_leg = entry_position is not None
    reservation = _reservation(case) if storable and not denials and not is_leg else Reservation()
    return {
        "position": position,
        "strategy": intent.strategy[:STRATEGY_LENGTH],
        "symbol": intent.symbol[:SYMBOL_LENGTH],
        "strategy_id": row.strategy_id,
        "instrument_id": row.instrument_id,
        "storable": storable,
        "outcome": (DecisionOutcome.DENIED if denials else DecisionOutcome.ACCEPTED).value,
        "codes": ",".join(denial.code.value for denial in denials)[:CODES_LENGTH],
        "denials": [denial.as_dict() for denial in denials],
        "warnings": [warning.as_dict() for warning in warnings],
        "decided": decided(case, book),
        "status": (OrderStatus.DENIED if denials else OrderStatus.HELD if is_leg else OrderStatus.PENDING).value,
        "client_order_id": intent.client_order_id or client_order_id(intent, book.day, attempt),
        "intent_key": key,
        "attempt": attempt,
        "idempotency_key": intent.idempotency_key,
        "reduce_only": intent.reduce_only,
        "extended_hours": intent.extended_hours,
        "origin": str(intent.origin),
        "source_ref": intent.source_ref,
        "parent_id": intent.parent_id,
        "slice_number": intent.slice_number,
        "order_class": intent.order_class,
        "leg_role": intent.leg_role,
        "entry_position": entry_position,
        "replaces_id": intent.replaces_id,
        "cover_quantity": _text(intent.cover_quantity),
        "total_quantity": _text(intent.total_quantity),
        "error_code": denials[0].code.value if denials else "",
        "error_message": denials[0].message if denials else "",
        "cap": str(case.limits.strategy.max_position_quantity),
        **(_numbers(case) if storable else {}),
        **_reserved(reservation),
        **_counted(case),
    }


def _counted(case: Case) -> dict[str, Any]:
    intent, storable = case.intent, case.reserve_price > 0
    counts = int(counts_in_a_row(intent))
    window = timedelta(seconds=int(case.limits.strategy.repeat_window_seconds))
    return {
        "turnover": str(case.notional) if storable else None,
        "buy_run": counts if intent.sign > 0 else 0,
        "sell_run": counts if intent.sign < 0 else 0,
        "run_until": (case.at + window).isoformat(),
    }


def decided(case: Case, book: Book) -> dict[str, Any]:
    """Return all that the gate knew, as text, in the form in which an order is explained later."""
    price = case.price
    return {
        "intent": _intent(case.intent),
        "session": {
            "phase": case.session.phase,
            "minutes_from_open": case.session.minutes_from_open,
            "minutes_to_close": case.session.minutes_to_close,
            "auctions_taken": case.session.auctions_taken,
        },
        "price": price
        and {
            "last": exact(price.last),
            "bid": exact(price.bid),
            "ask": exact(price.ask),
            "at": price.at.isoformat(),
            "age_seconds": price.age_seconds,
        },
        "average_daily_volume": exact(case.instrument.average_daily_volume) if case.instrument else "",
        "reserve_price": exact(case.reserve_price),
        "loss_per_share": exact(case.loss_per_share),
        "strategy_line": _exposure(case.book.strategy_line),
        "account_line": _exposure(case.book.account_line),
        "strategy_totals": _totals(case.book.strategy_totals),
        "account_totals": _totals(case.book.account_totals),
        "equity": exact(case.book.equity),
        "day_base_equity": exact(case.book.day_base_equity),
        "week_base_equity": exact(case.book.week_base_equity),
        "orders_this_minute": case.book.rate_count,
        "sector": case.instrument.sector if case.instrument else "",
        "account_sector": exact(case.book.account_sector),
        "strategy_sector": exact(case.book.strategy_sector),
        "identical_orders": case.book.identical_count,
        "orders_in_a_row": case.book.run_count,
        "parent_left": exact(case.book.parent_left),
        "opposite_price": exact(case.book.opposite_price),
        "session_peak_equity": exact(case.book.session_peak_equity),
        "peak_equity": exact(case.book.peak_equity),
        "signal_age": case.signal_age,
        "model_refusal": case.intent.model_refusal,
        "state": {
            "halted_by": list(case.state.halted_by),
            "halt_level": case.state.halt_level,
            "breaker": case.state.breaker,
            "reconciliation": case.state.reconciliation,
            "clock_skew_ms": case.state.clock_skew_ms,
            "release": case.state.release,
            "version": case.state.version,
        },
        "limits": _limits(case.limits),
        "trading_date": book.day.isoformat(),
    }


def _reservation(case: Case) -> Reservation:
    return reserve(
        side=str(case.intent.side),
        leaves=max(case.intent.quantity, case.intent.cover_quantity or case.intent.quantity),
        price=case.reserve_price,
        loss_per_share=case.loss_per_share,
    )


def _numbers(case: Case) -> dict[str, Any]:
    intent, price = case.intent, case.price
    return {
        "side": str(intent.side),
        "quantity": str(intent.quantity),
        "order_type": str(intent.order_type),
        "time_in_force": str(intent.time_in_force),
        "limit_price": _text(intent.limit_price),
        "stop_price": _text(intent.stop_price),
        "reserve_price": str(case.reserve_price),
        "loss_per_share": str(case.loss_per_share),
        "reference_price": _text(price.last if price else None),
        "reference_at": price.at.isoformat() if price else None,
    }


def _reserved(reservation: Reservation) -> dict[str, str]:
    return {
        "buy_quantity": str(reservation.buy_quantity),
        "sell_quantity": str(reservation.sell_quantity),
        "buy_notional": str(reservation.buy_notional),
        "sell_notional": str(reservation.sell_notional),
        "loss": str(reservation.loss),
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _intent(intent: OrderIntent) -> dict[str, Any]:
    return {
        "strategy": intent.strategy,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": exact(intent.quantity),
        "order_type": str(intent.order_type),
        "time_in_force": str(intent.time_in_force),
        "limit_price": exact(intent.limit_price),
        "stop_price": exact(intent.stop_price),
        "extended_hours": intent.extended_hours,
        "reduce_only": intent.reduce_only,
        "origin": str(intent.origin),
        "source_ref": intent.source_ref,
    }


def _exposure(line: Exposure) -> dict[str, str]:
    return {
        "quantity": exact(line.quantity),
        "open_buy_quantity": exact(line.open_buy_quantity),
        "open_sell_quantity": exact(line.open_sell_quantity),
        "worst_notional": exact(line.worst_notional),
    }


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "gross": exact(totals.gross),
        "net": exact(totals.net),
        "names": totals.names,
        "open_orders": totals.open_orders,
        "reserved_loss": exact(totals.reserved_loss),
        "turnover": exact(totals.turnover),
        "messages": totals.messages,
    }


@lru_cache(maxsize=512)
def _limits(limits: EffectiveLimits) -> dict[str, Any]:
    return {
        "version": limits.version,
        "account": _values(limits.account),
        "strategy": _values(limits.strategy),
    }


def _values(values: LimitValues) -> dict[str, str]:
    return {name: exact(getattr(values, name)) for name in values.__slots__}
