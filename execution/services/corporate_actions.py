"""Carry splits and dividends into the book on their ex-date, once each."""

from datetime import date, datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from execution.ledger import Lot, rounded, split_lot
from execution.models import Account, CashEntry, Position, PositionAdjustment
from execution.services.cancels import cancel_open_orders
from marketdata.models import CorporateAction
from marketdata.types import ActionKind

ZERO = Decimal(0)
SYSTEM = "system"


def apply_corporate_actions(*, account: Account, day: date, wall_now: datetime) -> list[PositionAdjustment]:
    """Adjust what was held before the ex-date; an action that was applied before is passed over.

    A split multiplies the shares and leaves the cost, and cancels open orders in the name, whose prices and quantities
    mean something else now. A dividend is cash: received on a long position, paid on a short one.
    Locks: orders of split names, then account and positions in a transaction of their own.
    """
    actions = list(CorporateAction.objects.filter(ex_date=day).select_related("instrument").order_by("pk"))
    split = [action.instrument_id for action in actions if action.kind == ActionKind.SPLIT]
    if split:
        cancel_open_orders(
            orders=Q(instrument_id__in=split),
            account=account,
            operator=SYSTEM,
            wall_now=wall_now,
            reason=f"split on {day}",
        )
    return _apply(account, actions, day, wall_now) if actions else []


@transaction.atomic
def _apply(
    account: Account, actions: list[CorporateAction], day: date, wall_now: datetime
) -> list[PositionAdjustment]:
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    done = set(
        PositionAdjustment.objects.filter(position__account=locked, trading_date=day).values_list(
            "position_id", "corporate_action_id"
        )
    )
    positions = Position.objects.select_for_update(of=("self",), no_key=True).filter(
        account=locked, instrument_id__in=[action.instrument_id for action in actions]
    )
    adjustments = []
    for position in positions.order_by("pk"):
        for action in (item for item in actions if item.instrument_id == position.instrument_id):
            if position.quantity and (position.pk, action.pk) not in done:
                adjustments.append(_adjust(locked, position, action, day, account.feed.market_now(wall_now)))
    locked.save(update_fields=["cash"])
    return adjustments


def _adjust(
    account: Account, position: Position, action: CorporateAction, day: date, market_at: datetime
) -> PositionAdjustment:
    before, cash = position.quantity, ZERO
    if action.kind == ActionKind.SPLIT and action.ratio is not None:
        lot = split_lot(Lot(position.quantity, position.cost_basis), action.ratio)
        position.quantity = lot.quantity
        position.current_price = rounded(position.current_price / action.ratio)
        position.long_cap = rounded(position.long_cap * action.ratio)
        position.short_cap = rounded(position.short_cap * action.ratio)
    elif action.cash_amount is not None:
        cash = rounded(position.quantity * action.cash_amount)
        position.dividends += cash
        account.cash += cash
        CashEntry.objects.create(
            account=account,
            strategy_id=position.strategy_id,
            kind=CashEntry.Kind.DIVIDEND,
            amount=cash,
            reference=f"action {action.pk} position {position.pk}",
            trading_date=day,
            market_at=market_at,
        )
    position.save()
    return PositionAdjustment.objects.create(
        position=position,
        corporate_action=action,
        quantity_before=before,
        quantity_after=position.quantity,
        cash_amount=cash,
        trading_date=day,
    )
