"""I5 and I8: an order's life is a chain of steps that the table knows, one entry for each change, none missing."""

from execution.invariants.rows import found
from execution.invariants.violation import Violation
from execution.models import Account
from execution.states import INITIAL, TERMINAL, TRANSITIONS

I5, I8 = "I5", "I8"

BROKEN_CHAINS = """
WITH step AS (
    SELECT e.order_id, e.sequence, e.from_status, e.to_status, e.filled_quantity,
           lag(e.to_status) OVER life AS before, lag(e.filled_quantity) OVER life AS filled_before
    FROM execution_orderevent e JOIN execution_order o ON o.id = e.order_id
    WHERE o.account_id = %(account)s WINDOW life AS (PARTITION BY e.order_id ORDER BY e.sequence)
)
SELECT *, CASE
    WHEN from_status <> coalesce(before, '') THEN 'begins where the step before did not end'
    WHEN NOT from_status || '>' || to_status = ANY(%(steps)s) THEN 'is not in the table'
    WHEN filled_quantity < coalesce(filled_before, 0) THEN 'takes shares back'
    ELSE 'moves an order that is over without a late fill' END AS problem
FROM step
WHERE from_status <> coalesce(before, '') OR NOT from_status || '>' || to_status = ANY(%(steps)s)
   OR filled_quantity < coalesce(filled_before, 0)
   OR (from_status = ANY(%(over)s) AND filled_quantity <= coalesce(filled_before, 0))
ORDER BY order_id, sequence
"""

WRONG_ENDS = """
SELECT o.id, o.status, o.filled_quantity, last.to_status, last.filled_quantity AS told FROM execution_order o
LEFT JOIN LATERAL (SELECT e.to_status, e.filled_quantity FROM execution_orderevent e
                   WHERE e.order_id = o.id ORDER BY e.sequence DESC LIMIT 1) last ON true
WHERE o.account_id = %(account)s
  AND (last.to_status IS NULL OR (o.status, o.filled_quantity) <> (last.to_status, last.filled_quantity))
ORDER BY o.id
"""

MISSING_ENTRIES = """
SELECT o.id, o.event_count, count(e.id) AS entries, coalesce(max(e.sequence), 0) AS newest FROM execution_order o
LEFT JOIN execution_orderevent e ON e.order_id = o.id
WHERE o.account_id = %(account)s GROUP BY o.id
HAVING o.event_count <> count(e.id) OR o.event_count <> coalesce(max(e.sequence), 0) ORDER BY o.id
"""

# Every execution moves its order by one step of its own.
FILLS_WITHOUT_STEP = """
SELECT f.id, f.order_id FROM execution_fill f
LEFT JOIN execution_orderevent e ON e.order_id = f.order_id AND e.detail ->> 'execution_id' = f.broker_execution_id
WHERE f.account_id = %(account)s GROUP BY f.id, f.order_id HAVING count(e.id) <> 1 ORDER BY f.id
"""


def allowed_steps() -> list[str]:
    """Return the transition table as `before>after`; nothing stands before the event that creates the order."""
    first = [f">{status}" for status in INITIAL]
    return first + [f"{before}>{after}" for before, followers in TRANSITIONS.items() for after in followers]


def check_history(account: Account) -> list[Violation]:
    """Walk the steps of every order."""
    steps = found(BROKEN_CHAINS, account.pk, steps=allowed_steps(), over=sorted(TERMINAL))
    chains = [
        Violation(
            I5,
            f"order {row['order_id']}",
            f"step {row['sequence']}, {row['from_status']}>{row['to_status']} after {row['before']}, {row['problem']}",
        )
        for row in steps
    ]
    ends = [
        Violation(
            I5,
            f"order {row['id']}",
            f"is {row['status']} with {row['filled_quantity']} filled, "
            f"its last step says {row['to_status']} with {row['told']}",
        )
        for row in found(WRONG_ENDS, account.pk)
    ]
    return [*chains, *ends]


def check_entries(account: Account) -> list[Violation]:
    """Count the entries of every order and of every execution."""
    orders = [
        Violation(
            I8,
            f"order {row['id']}",
            f"{row['event_count']} changes, {row['entries']} entries, the newest is number {row['newest']}",
        )
        for row in found(MISSING_ENTRIES, account.pk)
    ]
    fills = [
        Violation(I8, f"fill {row['id']}", f"order {row['order_id']} has not exactly one entry for it")
        for row in found(FILLS_WITHOUT_STEP, account.pk)
    ]
    return [*orders, *fills]
