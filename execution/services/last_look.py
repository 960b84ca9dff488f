"""Between two orders of a batch: may the next one still leave? One statement, over what a claim has looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog

from execution.gateway.prepared import run
from execution.models import Account
from execution.states import OrderStatus

log = structlog.get_logger(__name__)
SENDING_AT_MOST = timedelta(milliseconds=150)
"""From the first order of a batch to the last: then what was told meanwhile is booked, and the claim looks again."""

# Events of the switch commit in any order, so the newest number alone would not show one that was overtaken.
STANDING = """
SELECT ARRAY(SELECT id FROM risk_killswitchevent ORDER BY id DESC LIMIT 16) AS switched,
       (SELECT id FROM risk_breakerevent WHERE scope = a.scope ORDER BY id DESC LIMIT 1) AS tripped,
       (SELECT reconciliation FROM execution_account WHERE id = a.id) AS reconciliation,
       (SELECT trading_blocked FROM execution_brokerlink WHERE account_id = a.id) AS blocked,
       (SELECT status FROM execution_order WHERE account_id = a.id AND client_order_id = a.name) AS status,
       clock_timestamp() AS at
FROM (SELECT %(account)s::bigint AS id, %(scope)s::text AS scope, %(name)s::text AS name) AS a
"""


class LastLook:
    """Compares what stops orders with what it was before the claim.

    Whatever has changed since, in whichever direction, ends the batch: the next claim reads what it means.
    """

    def __init__(self, account: Account) -> None:
        """Look; the claim has to follow, so that nothing can change unseen between the two."""
        self._account = account
        self._before, _status, _at = self._look("")
        self._began: datetime | None = None

    def may_send(self, client_order_id: str) -> bool:
        """Tell whether a claimed order may leave now; no if somebody wants it canceled, or the batch has taken long.

        The first order of a batch is never late.
        """
        now, status, at = self._look(client_order_id)
        self._began = self._began or at
        if now != self._before:
            log.info("batch_ended", account=self._account.name, before=self._before, now=now)
            return False
        return status == OrderStatus.SUBMITTED and at - self._began < SENDING_AT_MOST

    def _look(self, client_order_id: str) -> tuple[tuple[Any, ...], str | None, datetime]:
        named = {"account": self._account.pk, "scope": self._account.scope, "name": client_order_id}
        [(*standing, status, at)] = run(STANDING, named)
        return tuple(standing), status, at
