"""The tables that a query may read, with the kinds of their columns as the engine calls them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

AMOUNT = "DECIMAL(20,8)"
TIME = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what it holds in a line, and its columns in order."""

    name: str
    holds: str
    columns: Mapping[str, str]


PRICES = {"open": "DOUBLE", "high": "DOUBLE", "low": "DOUBLE", "close": "DOUBLE", "volume": "DOUBLE"}
_TABLES = (
    Table(
        "bars",
        "Daily bars as they were quoted: raw, not adjusted; quarantined bars are not among them.",
        {"symbol": "VARCHAR", "date": "DATE", **PRICES, "source": "VARCHAR"},
    ),
    Table(
        "adjusted_bars",
        "Daily bars adjusted for splits and dividends as known now (total return); volume in today's shares.",
        {"symbol": "VARCHAR", "date": "DATE", **PRICES},
    ),
    Table(
        "minute_bars",
        "Bars of a minute, raw; at is the start of the minute.",
        {"symbol": "VARCHAR", "at": TIME, **PRICES, "source": "VARCHAR"},
    ),
    Table(
        "ticks",
        "Quotes and trades as the stream told them; a trade has a price, a quote bid and ask.",
        {
            "feed": "VARCHAR", "kind": "VARCHAR", "symbol": "VARCHAR", "at": TIME, "received_at": TIME,
            "price": "DOUBLE", "bid": "DOUBLE", "ask": "DOUBLE", "number": "VARCHAR", "source": "VARCHAR",
        },
    ),
    Table(
        "corporate_actions",
        "Splits and dividends: the ratio of a split (new shares for one old), the cash of a dividend a share.",
        {"symbol": "VARCHAR", "kind": "VARCHAR", "ex_date": "DATE", "ratio": "DOUBLE", "cash_amount": "DOUBLE"},
    ),
    Table(
        "instruments",
        "What can be traded.",
        {
            "symbol": "VARCHAR", "name": "VARCHAR", "exchange": "VARCHAR", "sector": "VARCHAR", "tradable": "BOOLEAN",
            "shortable": "BOOLEAN", "average_daily_volume": AMOUNT,
        },
    ),
    Table(
        "orders",
        "Orders with where they stand, the newest 200,000.",
        {
            "id": "BIGINT", "account": "VARCHAR", "strategy": "VARCHAR", "symbol": "VARCHAR",
            "client_order_id": "VARCHAR", "side": "VARCHAR", "quantity": AMOUNT, "order_type": "VARCHAR",
            "time_in_force": "VARCHAR", "limit_price": AMOUNT, "stop_price": AMOUNT, "status": "VARCHAR",
            "filled_quantity": AMOUNT, "average_fill_price": AMOUNT, "reference_price": AMOUNT, "origin": "VARCHAR",
            "source_ref": "VARCHAR", "trading_date": "DATE", "market_at": TIME, "created_at": TIME,
        },
    ),
    Table(
        "fills",
        "Executions, the newest 200,000; money in account currency.",
        {
            "id": "BIGINT", "order_id": "BIGINT", "account": "VARCHAR", "strategy": "VARCHAR", "symbol": "VARCHAR",
            "side": "VARCHAR", "quantity": AMOUNT, "price": AMOUNT, "fee": AMOUNT, "realized_pnl": AMOUNT,
            "trading_date": "DATE", "executed_at": TIME,
        },
    ),
    Table(
        "positions",
        "What is held, by account, strategy and symbol; short is negative.",
        {
            "account": "VARCHAR", "strategy": "VARCHAR", "symbol": "VARCHAR", "quantity": AMOUNT,
            "cost_basis": AMOUNT, "realized_pnl": AMOUNT, "fees": AMOUNT, "dividends": AMOUNT,
            "current_price": AMOUNT, "current_price_at": TIME,
        },
    ),
)  # fmt: skip
TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _TABLES})
