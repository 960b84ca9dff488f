"""Markets for tests of the paper exchange: AAPL and IBM on Thursday 2012-06-14 and Friday 2012-06-15."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.forms.models import model_to_dict

from execution.brokers.base import OrderRequest
from execution.matching.events import ClosingAuction, MarketEvent, OpeningAuction, QuoteTick, SessionEnd
from execution.models.paper import PaperMark, PaperOrder, PaperPosition, PaperReport, PaperVenue
from tests.execution.brokers.contract import make_request

THURSDAY, FRIDAY = date(2012, 6, 14), date(2012, 6, 15)
OPEN = datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
CLOSE = datetime(2012, 6, 14, 20, 0, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def opening(price: str = "100", *, symbol: str = "AAPL", volume: int | None = None, days: int = 0) -> OpeningAuction:
    """Make the opening auction, `days` after Thursday."""
    return OpeningAuction(symbol, Decimal(price), None if volume is None else Decimal(volume), OPEN + days * ONE_DAY)


def closing(price: str = "100", *, symbol: str = "AAPL", volume: int | None = None, days: int = 0) -> ClosingAuction:
    """Make the closing auction, `days` after Thursday."""
    return ClosingAuction(symbol, Decimal(price), None if volume is None else Decimal(volume), CLOSE + days * ONE_DAY)


def tick(price: str = "100", *, symbol: str = "AAPL", minute: int = 1, volume: int | None = None) -> QuoteTick:
    """Make a quote a cent wide around the price, `minute` minutes after Thursday's open."""
    last, size = Decimal(price), None if volume is None else Decimal(volume)
    return QuoteTick(
        symbol, last - Decimal("0.01"), last + Decimal("0.01"), last, size, OPEN + timedelta(minutes=minute)
    )


def session_end(days: int = 0) -> SessionEnd:
    """Make the end of the session, `days` after Thursday."""
    return SessionEnd(THURSDAY + days * ONE_DAY, CLOSE + days * ONE_DAY)


def whole_day() -> list[MarketEvent]:
    """Make a day with little volume, so that orders fill in parts."""
    moves = ["100", "99.5", "101", "103", "97", "100.2"]
    ticks = [
        tick(price, symbol=symbol, minute=minute, volume=250)
        for minute, price in enumerate(moves, start=1)
        for symbol in ("AAPL", "IBM")
    ]
    return [
        opening("100", volume=300),
        opening("190", symbol="IBM", volume=300),
        *ticks,
        closing("100.5", volume=900),
        closing("191", symbol="IBM", volume=900),
        session_end(),
    ]


def mixed_orders() -> list[OrderRequest]:
    """Make orders of every kind, with ids of their own."""
    return [
        make_request("opg", time_in_force="opg", quantity=Decimal(50)),
        make_request("mkt", quantity=Decimal(120), symbol="IBM"),
        make_request("lmt", order_type="limit", limit_price=Decimal("99.60"), quantity=Decimal(30)),
        make_request("stp", order_type="stop", stop_price=Decimal("102.50"), quantity=Decimal(40)),
        make_request(
            "stl",
            side="sell",
            order_type="stop_limit",
            stop_price=Decimal("98"),
            limit_price=Decimal("100"),
            time_in_force="gtc",
        ),
        make_request("cls", side="sell", time_in_force="cls", quantity=Decimal(200)),
        make_request("ioc", time_in_force="ioc", symbol="IBM"),
        make_request("fok", time_in_force="fok", symbol="IBM", quantity=Decimal(500)),
    ]


def venue_state(account_name: str) -> dict[str, Any]:
    """Return all that the venue's tables say, without surrogate keys and names."""
    venue = PaperVenue.objects.get(account_name=account_name)
    left_out = ["id", "venue", "order", "broker_order_id", "broker_execution_id"]
    return {
        "cash": venue.cash,
        "counts": (venue.order_count, venue.report_count),
        **{
            model.__name__: [
                model_to_dict(row, exclude=left_out) for row in model.objects.filter(venue=venue).order_by(*order)
            ]
            for model, order in (
                (PaperOrder, ["sequence"]),
                (PaperReport, ["sequence"]),
                (PaperPosition, ["symbol"]),
                (PaperMark, ["symbol", "kind"]),
            )
        },
    }
