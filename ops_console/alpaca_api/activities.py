"""What moved the account, as Alpaca's activities: fills, fees, dividends, deposits.

Fills and cash entries are two tables and one list, ordered by market time; of one instant fills come first, each table
by its key. A page begins behind the row that its token names, so rows that come in meanwhile move nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from heapq import merge
from itertools import islice
from operator import or_
from typing import Any

from django.db.models import Q

from execution.alpaca_wire.answers import fill_activity
from execution.alpaca_wire.errors import malformed
from execution.alpaca_wire.text import money
from execution.models import Account, CashEntry, Fill
from marketdata.clock import NEW_YORK
from ops_console.alpaca_api.identity import CASH, FILL, ORDER, key_of, uuid_of

ZERO = Decimal(0)
DAY = timedelta(days=1)
Line = tuple[datetime, int, int, Any]  # instant, table, key, row
KINDS = {
    CashEntry.Kind.FEE: "FEE",
    CashEntry.Kind.DIVIDEND: "DIV",
    CashEntry.Kind.INTEREST: "INT",
    CashEntry.Kind.OTHER: "MA",
}
CASH_KINDS = {
    "FEE": Q(kind=CashEntry.Kind.FEE),
    "DIV": Q(kind=CashEntry.Kind.DIVIDEND),
    "INT": Q(kind=CashEntry.Kind.INTEREST),
    "MA": Q(kind=CashEntry.Kind.OTHER),
    "CSD": Q(kind__in=CashEntry.TRANSFERS, amount__gte=0),
    "CSW": Q(kind__in=CashEntry.TRANSFERS, amount__lt=0),
}
NEVER_TOLD = (
    *("CFEE", "DIVCGL", "DIVCGS", "DIVFEE", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "INTNRA", "INTTW"),
    *("CSR", "JNL", "JNLC", "NC", "PTC", "PTR", "REORG", "SC", "SSO", "SSP"),
)
"""Types that Alpaca knows and this desk has no rows of: they may be asked for."""
TYPES = ("FILL", *CASH_KINDS, *NEVER_TOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityQuery:
    """What is asked for; without `types` everything, `after` and `until` exclude their instants."""

    types: tuple[str, ...] = ()
    day: date | None = None
    after: datetime | None = None
    until: datetime | None = None
    newest_first: bool = True
    page_size: int = 100
    page_token: str = ""


def activities_told(account: Account, query: ActivityQuery) -> list[dict[str, Any]]:
    """Return one page. At most four queries.

    :raises WireError: 422, the token is no id of ours
    """
    behind = _place(account, query.page_token)
    tables = [_fills(account, query, behind), _entries(account, query, behind)]
    found = list(islice(merge(*tables, key=_key, reverse=query.newest_first), query.page_size))
    cumulative = _cumulative([row for _, table, _, row in found if table == 0])
    return [
        _fill_told(account, row, cumulative[row.pk]) if table == 0 else _entry_told(account, row)
        for _, table, _, row in found
    ]


def _fills(account: Account, query: ActivityQuery, behind: Line | None) -> Iterable[Line]:
    if query.types and "FILL" not in query.types:
        return []
    rows = Fill.objects.filter(account=account).select_related("order", "instrument")
    rows = rows.filter(_span(query, "executed_at"), _behind(query, behind, "executed_at", table=0))
    order = ("-trading_date", "-executed_at", "-pk") if query.newest_first else ("trading_date", "executed_at", "pk")
    return [(row.executed_at, 0, row.pk, row) for row in rows.order_by(*order)[: query.page_size]]


def _entries(account: Account, query: ActivityQuery, behind: Line | None) -> Iterable[Line]:
    wanted = [condition for name, condition in CASH_KINDS.items() if not query.types or name in query.types]
    if not wanted:
        return []
    kinds = reduce(or_, wanted)
    rows = CashEntry.objects.filter(account=account).filter(kinds)
    rows = rows.filter(_span(query, "market_at"), _behind(query, behind, "market_at", table=1))
    order = ("-trading_date", "-market_at", "-pk") if query.newest_first else ("trading_date", "market_at", "pk")
    return [(row.market_at, 1, row.pk, row) for row in rows.order_by(*order)[: query.page_size]]


def _span(query: ActivityQuery, column: str) -> Q:
    wanted = Q()
    if query.after is not None:
        wanted &= Q(**{f"{column}__gt": query.after})
    if query.until is not None:
        wanted &= Q(**{f"{column}__lt": query.until})
    if query.day is not None:
        begins = datetime.combine(query.day, time(), NEW_YORK)
        wanted &= Q(**{f"{column}__gte": begins, f"{column}__lt": begins + DAY})
    return wanted


def _behind(query: ActivityQuery, place: Line | None, column: str, *, table: int) -> Q:
    """Return the condition of the rows that come after a place in the list."""
    if place is None:
        return Q()
    at, of_table, key, _ = place
    further = "lt" if query.newest_first else "gt"
    later = Q(**{f"{column}__{further}": at})
    if table == of_table:
        return later | Q(**{column: at, f"pk__{further}": key})
    all_of_instant = table > of_table if not query.newest_first else table < of_table
    return later | Q(**{column: at}) if all_of_instant else later


def _place(account: Account, token: str) -> Line | None:
    if not token:
        return None
    _, _, row_id = token.partition("::")
    fill, entry = key_of(account, FILL, row_id), key_of(account, CASH, row_id)
    if fill is not None:
        at = Fill.objects.filter(account=account, pk=fill).values_list("executed_at", flat=True).first()
        if at is not None:
            return at, 0, fill, None
    if entry is not None:
        at = CashEntry.objects.filter(account=account, pk=entry).values_list("market_at", flat=True).first()
        if at is not None:
            return at, 1, entry, None
    raise malformed("page_token", token, "the id of the last activity of the page before")


def _key(line: Line) -> tuple[datetime, int, int]:
    return line[:3]


def _cumulative(fills: list[Fill]) -> dict[int, Decimal]:
    """Return what each fill's order had filled after it (shares). One query."""
    totals: dict[int, Decimal] = {}
    after: dict[int, Decimal] = {}
    rows = Fill.objects.filter(order_id__in={fill.order_id for fill in fills}).order_by("pk") if fills else []
    for fill in rows:
        totals[fill.order_id] = totals.get(fill.order_id, ZERO) + fill.quantity
        after[fill.pk] = totals[fill.order_id]
    return after


def _fill_told(account: Account, fill: Fill, cumulative: Decimal) -> dict[str, Any]:
    return fill_activity(
        execution_id=uuid_of(account, FILL, fill.pk),
        at=fill.executed_at,
        symbol=fill.instrument.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        cumulative_quantity=cumulative,
        leaves_quantity=fill.order.quantity - cumulative,
        order_id=uuid_of(account, ORDER, fill.order_id),
    )


def _entry_told(account: Account, entry: CashEntry) -> dict[str, Any]:
    kind = KINDS.get(CashEntry.Kind(entry.kind)) or ("CSD" if entry.amount >= 0 else "CSW")
    at = entry.market_at
    return {
        "id": f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{uuid_of(account, CASH, entry.pk)}",
        "activity_type": kind,
        "date": entry.trading_date.isoformat(),
        "net_amount": money(entry.amount),
        "description": entry.reference,
        "status": "executed",
    }
