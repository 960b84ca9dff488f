"""I6: each message of a broker has its effect once, whatever the way and the order in which it came."""

from execution.invariants.rows import found
from execution.invariants.violation import Violation
from execution.models import Account, BrokerLink

I6 = "I6"

# Messages are numbered from 1 without a gap.
GAPS = """
SELECT l.message_count, count(m.id) AS messages, coalesce(max(m.sequence), 0) AS newest,
       (SELECT report_cursor FROM execution_account WHERE id = %(account)s) AS cursor
FROM execution_brokerlink l LEFT JOIN execution_brokermessage m ON m.account_id = l.account_id
WHERE l.account_id = %(account)s GROUP BY l.message_count
HAVING l.message_count <> count(m.id) OR l.message_count <> coalesce(max(m.sequence), 0)
    OR (SELECT report_cursor FROM execution_account WHERE id = %(account)s) > l.message_count
"""

# Of each execution that was told and read, exactly one fill, or the place of shares that were inferred before, or a
# refusal that somebody can see. One that was told twice under two keys may have one of the two refused and needs one
# fill all the same.
EXECUTIONS_WITHOUT_EFFECT = """
WITH told AS (
    SELECT m.broker_order_id, m.broker_execution_id, min(m.sequence) AS sequence,
           count(r.id) AS refused, min(m.quantity) AS quantity, min(m.price) AS price
    FROM execution_brokermessage m
    LEFT JOIN execution_refusedreport r ON r.account_id = m.account_id AND r.sequence = m.sequence
    WHERE m.account_id = %(account)s AND m.kind = 'fill'
      AND m.sequence <= (SELECT report_cursor FROM execution_account WHERE id = %(account)s)
    GROUP BY m.broker_order_id, m.broker_execution_id
), booked AS (
    SELECT broker_order_id, broker_execution_id, sum(fills) AS fills, sum(quantity) AS quantity, max(price) AS price
    FROM (
        SELECT o.broker_order_id, f.broker_execution_id, 1 AS fills, f.quantity, f.price
        FROM execution_fill f JOIN execution_order o ON o.id = f.order_id WHERE f.account_id = %(account)s
        UNION ALL
        SELECT o.broker_order_id, s.broker_execution_id, 0, s.quantity, s.price
        FROM execution_supersession s JOIN execution_inferredfill i ON i.id = s.inferred_id
        JOIN execution_order o ON o.id = i.order_id WHERE o.account_id = %(account)s
    ) effect GROUP BY broker_order_id, broker_execution_id
)
SELECT told.*, coalesce(b.fills, 0) AS fills, b.quantity AS booked_quantity, b.price AS booked_price FROM told
LEFT JOIN booked b ON b.broker_order_id = told.broker_order_id AND b.broker_execution_id = told.broker_execution_id
WHERE b.fills > 1 OR (b.fills IS NULL AND refused = 0)
   OR ((b.quantity, b.price) <> (told.quantity, told.price) AND refused = 0)
ORDER BY told.sequence
"""

FILLS_THAT_NOBODY_TOLD = """
SELECT f.id, f.broker_execution_id FROM execution_fill f JOIN execution_order o ON o.id = f.order_id
WHERE f.account_id = %(account)s AND NOT EXISTS (
    SELECT 1 FROM execution_brokermessage m
    WHERE m.account_id = f.account_id AND m.broker_order_id = o.broker_order_id AND m.kind = 'fill'
      AND m.broker_execution_id = f.broker_execution_id)
  -- What was inferred is told by an alert, what the reconciliation has entered by its own rows.
  AND o.origin NOT IN ('external', 'correction')
  AND NOT EXISTS (SELECT 1 FROM execution_inferredfill i WHERE i.fill_id = f.id)
ORDER BY f.id
"""

REFUSED_AND_NOT_SEEN = """
SELECT r.id, r.reason FROM execution_refusedreport r JOIN execution_account a ON a.id = r.account_id
WHERE r.account_id = %(account)s AND r.sequence > a.report_cursor ORDER BY r.id
"""


def check_inbox(account: Account) -> list[Violation]:
    """Compare the messages of a broker over a network with the fills; an account without an inbox has none to check."""
    if not BrokerLink.objects.filter(account=account, message_count__gt=0).exists():
        return []
    gaps = [
        Violation(
            I6,
            "inbox",
            f"{row['message_count']} were numbered, {row['messages']} are there, the newest is {row['newest']} "
            f"and {row['cursor']} was read",
        )
        for row in found(GAPS, account.pk)
    ]
    executions = [
        Violation(
            I6,
            f"execution {row['broker_execution_id']}",
            f"told as {row['quantity']} at {row['price']} (message {row['sequence']}), "
            f"booked {row['fills']} times with {row['booked_quantity']} at {row['booked_price']}",
        )
        for row in found(EXECUTIONS_WITHOUT_EFFECT, account.pk)
    ]
    untold = [
        Violation(I6, f"fill {row['id']}", f"execution {row['broker_execution_id']} was told by no message")
        for row in found(FILLS_THAT_NOBODY_TOLD, account.pk)
    ]
    early = [
        Violation(I6, f"refused report {row['id']}", f"{row['reason']}: refused before it was read")
        for row in found(REFUSED_AND_NOT_SEEN, account.pk)
    ]
    return [*gaps, *executions, *untold, *early]
