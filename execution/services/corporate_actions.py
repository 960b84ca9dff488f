"""Carry splits and dividends into the book on their ex-date, once each."""

from datetime import date, datetime, time
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from execution.ledger import Lot, rounded, split_lot
from execution.models import Account, CashEntry, Fill, Position, PositionAdjustment
from execution.reservation import widen_caps
from execution.services.cancels import cancel_open_orders
from marketdata import calendar
from marketdata.clock import NEW_YORK
from marketdata.models import CorporateAction
from marketdata.types import ActionKind
from risk.types import Side

ZERO = Decimal(0)
SYSTEM = "system"


def apply_corporate_actions(*, account: Account, day: date, wall_now: datetime) -> list[PositionAdjustment]:
    """Adjust what was held before the ex-date; what was applied before, or was traded on the day, is passed over.

    A split multiplies the shares and leaves the cost, and cancels open orders that were decided on before the day,
    whose prices and quantities mean something else now. A dividend is cash: received on a long position, paid on a
    short one.
    Locks: orders of split names, then account and positions in a transaction of their own.
    """
    actions = list(CorporateAction.objects.filter(ex_date=day).select_related("instrument").order_by("pk"))
    split = [action.instrument_id for action in actions if action.kind == ActionKind.SPLIT]
    if split:
        begins = datetime.combine(day, time.min, tzinfo=NEW_YORK)
        cancel_open_orders(
            orders=Q(instrument_id__in=split, market_at__lt=begins),
            account=account,
            operator=SYSTEM,
            wall_now=wall_now,
            reason=f"split on {day}",
        )
    return _apply(account, actions, day, account.feed.market_now(wall_now)) if actions else []


@transaction.atomic
def _apply(
    account: Account, actions: list[CorporateAction], day: date, market_at: datetime
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
            entitled = position.quantity - _traded_since(position, day)
            if entitled and (position.pk, action.pk) not in done:
                adjustments.append(_adjust(locked, position, action, entitled, day, market_at))
    locked.save(update_fields=["cash"])
    return adjustments


def _traded_since(position: Position, day: date) -> Decimal:
    """Return the net shares traded on the day or later: bought without the dividend, and in new shares."""
    fills = Fill.objects.filter(
        account_id=position.account_id,
        strategy_id=position.strategy_id,
        instrument_id=position.instrument_id,
        trading_date__gte=day,
    )
    return sum(
        (quantity if side == Side.BUY else -quantity for side, quantity in fills.values_list("side", "quantity")), ZERO
    )


def _adjust(
    account: Account,
    position: Position,
    action: CorporateAction,
    entitled: Decimal,
    day: date,
    market_at: datetime,
) -> PositionAdjustment:
    before, cash = position.quantity, ZERO
    if action.ratio is not None:
        _split(position, entitled, action.ratio, day)
    else:
        assert action.cash_amount is not None, "what is no split is a dividend"
        cash = rounded(entitled * action.cash_amount)
        _pay(account, position, action, cash, day, market_at)
    position.save()
    return PositionAdjustment.objects.create(
        position=position,
        corporate_action=action,
        quantity_before=before,
        quantity_after=position.quantity,
        cash_amount=cash,
        trading_date=day,
    )


def _split(position: Position, entitled: Decimal, ratio: Decimal, day: date) -> None:
    lot = split_lot(Lot(entitled, position.cost_basis), ratio)
    position.quantity += lot.quantity - entitled
    if calendar.trading_date(position.current_price_at) < day:
        position.current_price = rounded(position.current_price / ratio)
    position.long_cap = rounded(position.long_cap * ratio)
    position.short_cap = rounded(position.short_cap * ratio)
    # Orders of old shares count until the broker has canceled them.
    widen_caps(position)


def _pay(
    account: Account, position: Position, action: CorporateAction, cash: Decimal, day: date, market_at: datetime
) -> None:
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
