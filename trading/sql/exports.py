"""Read-only copies of rows of PostgreSQL as Parquet, made when a query names them. The engine reads only the copies.

Copies of orders and fills are kept until the book changes; the others are small and made anew each time.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from django.conf import settings
from django.db.models import Max, QuerySet

from execution.models import Fill, Order, OrderEvent, Position
from marketdata.adjustment import adjust
from marketdata.lake import bar_schema, default_lake
from marketdata.models import Instrument
from marketdata.selectors import corporate_actions_frame
from trading.sql.catalog import TABLES

MOST_ROWS = 200_000
KEPT = timedelta(minutes=15)
"""Copies that nothing has asked for since; a query that was given one has opened it long before."""
POLARS: dict[str, Any] = {
    "VARCHAR": pl.String(),
    "BIGINT": pl.Int64(),
    "BOOLEAN": pl.Boolean(),
    "DATE": pl.Date(),
    "DOUBLE": pl.Float64(),
    "DECIMAL(20,8)": pl.Decimal(20, 8),
    "TIMESTAMP WITH TIME ZONE": pl.Datetime("us", "UTC"),
}
PATHS = {"account": "account__name", "strategy": "strategy__name", "symbol": "instrument__symbol"}


def folder() -> Path:
    """Return where copies are kept."""
    return Path(settings.VAR_DIR) / "sql"


def export(table: str, now: datetime) -> Path:
    """Return a file with the table as it is now; `now` is wall time."""
    _forget_old(now)
    generation, frame = EXPORTS[table]()
    path = folder() / f"{table}-{generation}.parquet"
    if path.exists():
        path.touch()
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    frame().write_parquet(temporary, compression="zstd")
    return temporary.replace(path)


def _forget_old(now: datetime) -> None:
    oldest = (now - KEPT).timestamp()
    for path in folder().glob("*.*"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


Export = tuple[str, Callable[[], pl.DataFrame]]


def _orders() -> Export:
    orders, events = Order.objects.aggregate(last=Max("pk")), OrderEvent.objects.aggregate(last=Max("pk"))
    return f"{orders['last'] or 0}-{events['last'] or 0}", lambda: _rows("orders", Order.objects.order_by("-pk"))


def _fills() -> Export:
    last = Fill.objects.aggregate(last=Max("pk"))["last"] or 0
    return str(last), lambda: _rows("fills", Fill.objects.order_by("-pk"))


def _positions() -> Export:
    return uuid.uuid4().hex, lambda: _rows("positions", Position.objects.order_by("pk"))


def _instruments() -> Export:
    return uuid.uuid4().hex, lambda: _rows("instruments", Instrument.objects.order_by("pk"), paths={})


def _actions() -> Export:
    actions = corporate_actions_frame()
    return _digest(actions), lambda: actions


def _adjusted() -> Export:
    actions, lake = corporate_actions_frame(), default_lake()
    generation = f"{lake.generation() or 'empty'}-{_digest(actions)}"
    wanted = bar_schema().names()
    return generation, lambda: adjust(lake.scan().collect(), actions, mode="total_return", as_of=None).select(wanted)


EXPORTS: Mapping[str, Callable[[], Export]] = {
    "orders": _orders,
    "fills": _fills,
    "positions": _positions,
    "instruments": _instruments,
    "corporate_actions": _actions,
    "adjusted_bars": _adjusted,
}


def _rows(table: str, rows: "QuerySet[Any]", paths: Mapping[str, str] = PATHS) -> pl.DataFrame:
    columns = TABLES[table].columns
    found = rows.values_list(*(paths.get(name, name) for name in columns))[:MOST_ROWS]
    schema = {name: POLARS[kind] for name, kind in columns.items()}
    return pl.DataFrame(list(found.iterator(chunk_size=5_000)), schema=schema, orient="row")


def _digest(frame: pl.DataFrame) -> str:
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()[:24]
