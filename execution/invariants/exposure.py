"""I3: what is held and what open orders reserve stay within the limits that they were judged by.

A price that moves, a late fill and a broker's doing may carry an account past a limit; no order of ours may. So the
sums of the reservations are compared with the open orders, each line with its cap, and each accepted decision with the
numbers it was made on.
"""

from execution.invariants.rows import found
from execution.invariants.violation import Violation
from execution.models import Account
from execution.selectors import reservation_drift

I3 = "I3"

LINES_PAST_THEIR_CAP = """
SELECT p.id, p.quantity, p.open_buy_quantity, p.open_sell_quantity, p.long_cap, p.short_cap FROM execution_position p
WHERE p.account_id = %(account)s AND (
    p.open_buy_quantity > 0 AND p.quantity + p.open_buy_quantity > p.long_cap
    OR p.open_sell_quantity > 0 AND p.open_sell_quantity - p.quantity > p.short_cap
    OR least(p.open_buy_quantity, p.open_sell_quantity, p.open_buy_notional, p.open_sell_notional,
             p.reserved_loss, p.open_order_count) < 0)
ORDER BY p.id
"""

# As `risk.checks.portfolio.check_position_quantity` and `check_open_orders` judge, over what they were shown. Legs are
# judged on the book after their entry's fill, which is not stored.
DECISIONS_PAST_A_LIMIT = """
WITH judged AS (
    SELECT o.id AS order_id, scope.name AS scope, d."case",
           CASE WHEN o.side = 'buy' THEN 1 ELSE -1 END AS sign,
           (d."case" #>> '{intent,quantity}')::numeric AS quantity,
           (d."case" #>> ARRAY[scope.name || '_line', 'quantity'])::numeric AS held,
           (d."case" #>> ARRAY[scope.name || '_line', 'open_' || o.side || '_quantity'])::numeric AS open_quantity,
           (d."case" #>> ARRAY['limits', scope.name, 'max_position_quantity'])::numeric AS most
    FROM execution_order o JOIN risk_decision d ON d.id = o.decision_id
    CROSS JOIN (VALUES ('account'), ('strategy')) AS scope(name)
    WHERE o.account_id = %(account)s AND d.outcome = 'accepted' AND o.entry_id IS NULL
), projected AS (
    SELECT *, held + sign * (open_quantity + quantity) AS after FROM judged
)
SELECT order_id, scope, held, after, most FROM projected
WHERE abs(after) > most AND NOT (held * sign < 0 AND after * held >= 0)
ORDER BY order_id
"""


def check_exposure(account: Account) -> list[Violation]:
    """Compare reservations with open orders, lines with caps, and decisions with their limits."""
    drift = [
        Violation(I3, f"position {pk}", "its reservations are not what its open orders hold")
        for pk in reservation_drift(account)
    ]
    lines = [
        Violation(
            I3,
            f"position {row['id']}",
            f"{row['quantity']} held, {row['open_buy_quantity']} to buy and {row['open_sell_quantity']} to sell, "
            f"caps {row['long_cap']} long and {row['short_cap']} short",
        )
        for row in found(LINES_PAST_THEIR_CAP, account.pk)
    ]
    decisions = [
        Violation(
            I3,
            f"order {row['order_id']}",
            f"accepted although the {row['scope']} line would become {row['after']} (held {row['held']}) "
            f"and {row['most']} is the limit",
        )
        for row in found(DECISIONS_PAST_A_LIMIT, account.pk)
    ]
    return [*drift, *lines, *decisions]
