"""Cash that no trade moved: fees, interest, dividends and transfers, as the broker tells them, each booked once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from execution.brokers.base import Broker, BrokerActivity
from execution.ledger import rounded
from execution.models import Account, CashActivity, CashEntry, PositionAdjustment
from marketdata import calendar
from risk.checks.form import STORABLE_MAX

ZERO, CENT = Decimal(0), Decimal("0.01")
OVERLAP = timedelta(days=7)
"""Market time that is read again each time: brokers enter fees and transfers under days that are past."""
PAYABLE_WITHIN = timedelta(days=60)
LONGEST_REFERENCE = 96


def book_activities(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Ask for what moved cash since the last time and book what is new; returns how many. Locks: the account.

    :raises BrokerError: no whole answer; nothing is booked and the next look begins where this one began
    """
    opened = opened_at(account)
    told = broker.activities(after=(account.activities_until or opened) - OVERLAP)
    new = [each for each in told if each.at > opened]
    return _book(new, account, wall_now) if new else 0


def cash_difference(*, account: Account, broker: Broker) -> Decimal | None:
    """Return our cash less the broker's, account currency, dividends that are booked and not paid yet taken off.

    None where the broker keeps no view of its own.
    :raises BrokerError: no answer
    """
    theirs = broker.account().cash
    if not theirs.is_finite() or broker.is_dry_run:
        return None
    ours: Decimal = Account.objects.values_list("cash", flat=True).get(pk=account.pk)
    return ours - rounded(theirs) - unpaid_dividends(account)


def unpaid_dividends(account: Account) -> Decimal:
    """Return the dividends that were booked on their ex-date lately and that the broker has not told as paid."""
    newest = CashEntry.objects.filter(account=account).order_by("-trading_date").values_list("trading_date").first()
    if newest is None or account.mode not in (Account.Mode.ALPACA_PAPER, Account.Mode.ALPACA_LIVE):
        return ZERO
    since = newest[0] - PAYABLE_WITHIN
    booked = CashEntry.objects.filter(
        account=account, kind=CashEntry.Kind.DIVIDEND, strategy__isnull=False, trading_date__gte=since
    )
    paid = CashActivity.objects.filter(account=account, matches__trading_date__gte=since)
    return (booked.aggregate(sum=Sum("amount"))["sum"] or ZERO) - (paid.aggregate(sum=Sum("amount"))["sum"] or ZERO)


def opened_at(account: Account) -> datetime:
    """Return since when the book is kept (market time): what was before is in the cash that it was opened with."""
    opening = CashEntry.objects.filter(account=account, reference="opening").values_list("market_at", flat=True).first()
    return opening or account.created_at


@transaction.atomic
def _book(told: Sequence[BrokerActivity], account: Account, wall_now: datetime) -> int:
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    ids = [_reference(each) for each in told]
    known = set(CashActivity.objects.filter(account=locked, activity_id__in=ids).values_list("activity_id", flat=True))
    booked = 0
    for each in told:
        if _reference(each) not in known and ZERO < abs(each.amount) < STORABLE_MAX:
            known.add(_reference(each))
            _enter(locked, each, wall_now)
            booked += 1
    locked.activities_until = max(each.at for each in told)
    locked.save(update_fields=["cash", "starting_cash", "activities_until"])
    account.cash, account.starting_cash = locked.cash, locked.starting_cash
    account.activities_until = locked.activities_until
    return booked


def _enter(account: Account, told: BrokerActivity, wall_now: datetime) -> None:
    amount = rounded(told.amount)
    matched = _ex_dividend(account, told) if told.means == "dividend" else None
    entry = None
    if matched is None:
        entry = CashEntry.objects.create(
            account=account,
            kind=told.means,
            amount=amount,
            reference=_reference(told),
            trading_date=calendar.trading_date(told.at),
            market_at=told.at,
            created_at=wall_now,
        )
        account.cash += amount
        if entry.kind in CashEntry.TRANSFERS:
            account.starting_cash += amount
    CashActivity.objects.create(
        account=account,
        activity_id=_reference(told),
        kind=told.kind[:12],
        amount=amount,
        symbol=told.symbol[:32],
        at=told.at,
        description=told.description[:300],
        entry=entry,
        matches=matched,
        created_at=wall_now,
    )


def _ex_dividend(account: Account, told: BrokerActivity) -> CashEntry | None:
    """Return the first of our own entries of the dividend that is paid here; it is in the book since its ex-date."""
    day = calendar.trading_date(told.at)
    actions: dict[int, Decimal] = {}
    rows = PositionAdjustment.objects.filter(
        position__account=account,
        position__instrument__symbol=told.symbol,
        trading_date__range=(day - PAYABLE_WITHIN, day),
    ).exclude(cash_amount=0)
    for row in rows.order_by("trading_date", "pk"):
        actions[row.corporate_action_id] = actions.get(row.corporate_action_id, ZERO) + row.cash_amount
    for action, amount in actions.items():
        entries = CashEntry.objects.filter(account=account, reference__startswith=f"action {action} ")
        first = entries.order_by("pk").first()
        if first is not None and abs(amount - told.amount) <= CENT and not hasattr(first, "paid_by"):
            return first
    return None


def _reference(told: BrokerActivity) -> str:
    return told.activity_id[:LONGEST_REFERENCE]
