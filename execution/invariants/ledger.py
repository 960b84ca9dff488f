"""I2: shares are the sum of fills and adjustments, cash is the sum of its entries, to the last decimal."""

from decimal import Decimal

from django.db.models import F, Sum

from execution.invariants.rows import found
from execution.invariants.violation import Violation
from execution.models import Account, CashEntry, Position
from execution.selectors import cash_difference, quantity_differences

I2 = "I2"
ZERO = Decimal(0)

# A fill's trade entry is its notional rounded once; a tie may go either way, so half a unit is allowed.
FILLS_WITHOUT_CASH = """
SELECT f.id, f.quantity, f.price, f.fee, trade.amount AS trade, fee.amount AS charged
FROM execution_fill f
LEFT JOIN execution_cashentry trade ON trade.fill_id = f.id AND trade.kind = 'trade'
LEFT JOIN execution_cashentry fee ON fee.fill_id = f.id AND fee.kind = 'fee'
WHERE f.account_id = %(account)s AND (
    trade.id IS NULL OR coalesce(fee.amount, 0) <> -f.fee
    OR abs(trade.amount + f.quantity * f.price * CASE WHEN f.side = 'buy' THEN 1 ELSE -1 END) > 0.000000005)
ORDER BY f.id
"""

# `cost_basis - realized_pnl` is what the line has paid, and that is what its trade entries say.
LINES_OFF_THEIR_FILLS = """
SELECT p.id, p.cost_basis - p.realized_pnl AS paid, coalesce(booked.paid, 0) AS booked, p.fees,
       coalesce(booked.fees, 0) AS charged, p.realized_pnl, coalesce(booked.realized, 0) AS realized
FROM execution_position p
LEFT JOIN (
    SELECT f.strategy_id, f.instrument_id, -sum(c.amount) AS paid, sum(f.fee) AS fees, sum(f.realized_pnl) AS realized
    FROM execution_fill f JOIN execution_cashentry c ON c.fill_id = f.id AND c.kind = 'trade'
    WHERE f.account_id = %(account)s GROUP BY f.strategy_id, f.instrument_id
) booked ON booked.strategy_id = p.strategy_id AND booked.instrument_id = p.instrument_id
WHERE p.account_id = %(account)s AND (
    p.cost_basis - p.realized_pnl <> coalesce(booked.paid, 0) OR p.fees <> coalesce(booked.fees, 0)
    OR p.realized_pnl <> coalesce(booked.realized, 0))
ORDER BY p.id
"""

FILLS_WITHOUT_LINE = """
SELECT f.id FROM execution_fill f
LEFT JOIN execution_position p ON p.account_id = f.account_id AND p.strategy_id = f.strategy_id
    AND p.instrument_id = f.instrument_id
WHERE f.account_id = %(account)s AND p.id IS NULL ORDER BY f.id
"""

DIVIDENDS_OFF_THEIR_ENTRIES = """
SELECT p.id, p.dividends, coalesce(sum(a.cash_amount), 0) AS paid FROM execution_position p
LEFT JOIN execution_positionadjustment a ON a.position_id = p.id
WHERE p.account_id = %(account)s GROUP BY p.id HAVING p.dividends <> coalesce(sum(a.cash_amount), 0) ORDER BY p.id
"""

ORDERS_OFF_THEIR_FILLS = """
SELECT o.id, o.filled_quantity, coalesce(sum(f.quantity), 0) AS booked
FROM execution_order o LEFT JOIN execution_fill f ON f.order_id = o.id
WHERE o.account_id = %(account)s GROUP BY o.id HAVING o.filled_quantity <> coalesce(sum(f.quantity), 0) ORDER BY o.id
"""

FILLS_OFF_THEIR_ORDERS = """
SELECT f.id FROM execution_fill f JOIN execution_order o ON o.id = f.order_id
WHERE f.account_id = %(account)s AND (o.account_id, o.strategy_id, o.instrument_id, o.side)
    <> (f.account_id, f.strategy_id, f.instrument_id, f.side) ORDER BY f.id
"""


def check_ledger(account: Account) -> list[Violation]:
    """Compare shares, cost, cash and orders with the append-only rows that they are made of."""
    return [
        *_shares(account),
        *_lines(account),
        *_cash(account),
        *_fills(account),
        *_orders(account),
    ]


def _shares(account: Account) -> list[Violation]:
    return [
        Violation(I2, f"position {pk}", "its shares are not the sum of its fills and adjustments")
        for pk in quantity_differences(account)
    ] + [Violation(I2, f"fill {row['id']}", "no position line has it") for row in found(FILLS_WITHOUT_LINE, account.pk)]


def _lines(account: Account) -> list[Violation]:
    lines = [
        Violation(
            I2,
            f"position {row['id']}",
            f"paid {row['paid']}, its fills {row['booked']}; fees {row['fees']}, its fills {row['charged']}; "
            f"realised {row['realized_pnl']}, its fills {row['realized']}",
        )
        for row in found(LINES_OFF_THEIR_FILLS, account.pk)
    ]
    return lines + [
        Violation(I2, f"position {row['id']}", f"dividends {row['dividends']}, its adjustments {row['paid']}")
        for row in found(DIVIDENDS_OFF_THEIR_ENTRIES, account.pk)
    ]


def _cash(account: Account) -> list[Violation]:
    violations = []
    if difference := cash_difference(account):
        violations.append(Violation(I2, f"account {account.name}", f"cash differs from its entries by {difference}"))
    row = Account.objects.values("cash", "starting_cash").get(pk=account.pk)
    sums = Position.objects.filter(account=account).aggregate(
        held=Sum(F("cost_basis") - F("realized_pnl") - F("dividends") + F("fees"), default=ZERO)
    )
    entries = CashEntry.objects.filter(account=account, fill__isnull=True)
    # What the broker tells of the account as a whole (a day's fees, interest) belongs to no line.
    of_account = entries.filter(strategy__isnull=True).exclude(kind__in=CashEntry.TRANSFERS)
    moved = of_account.aggregate(total=Sum("amount", default=ZERO))["total"]
    deposits = entries.filter(kind__in=CashEntry.TRANSFERS)
    paid_in = deposits.aggregate(total=Sum("amount", default=ZERO))["total"]
    if row["starting_cash"] != paid_in:
        told = f"deposits {row['starting_cash']}, its entries {paid_in}"
        violations.append(Violation(I2, f"account {account.name}", told))
    if row["cash"] + sums["held"] != row["starting_cash"] + moved:
        off = row["cash"] + sums["held"] - row["starting_cash"] - moved
        told = f"cash, cost, results and fees do not add up to the deposits: {off} too much"
        violations.append(Violation(I2, f"account {account.name}", told))
    return violations


def _fills(account: Account) -> list[Violation]:
    return [
        Violation(
            I2,
            f"fill {row['id']}",
            f"{row['quantity']} at {row['price']}, fee {row['fee']}: entries {row['trade']} and {row['charged']}",
        )
        for row in found(FILLS_WITHOUT_CASH, account.pk)
    ] + [
        Violation(I2, f"fill {row['id']}", "it is not of its order's account, strategy, name and side")
        for row in found(FILLS_OFF_THEIR_ORDERS, account.pk)
    ]


def _orders(account: Account) -> list[Violation]:
    return [
        Violation(I2, f"order {row['id']}", f"filled {row['filled_quantity']}, its fills {row['booked']}")
        for row in found(ORDERS_OFF_THEIR_FILLS, account.pk)
    ]
