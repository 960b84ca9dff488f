"""The market of the platform's own data: bars of its lake, instruments and corporate actions of its database."""

from __future__ import annotations

from collections.abc import Collection

from execution.alpaca_wire.answers import exchange_of
from execution.emulator.bar_market import BarMarket
from execution.emulator.market import Dividend, Listing, Split
from marketdata.lake import default_lake
from marketdata.models import CorporateAction, Instrument
from marketdata.types import ActionKind


class LakeMarket(BarMarket):
    """Every instrument that is stored, or some; the database is read here, once."""

    def __init__(self, *, symbols: Collection[str] | None = None, seed: int = 7) -> None:
        instruments = Instrument.objects.order_by("symbol")
        actions = CorporateAction.objects.order_by("ex_date", "instrument__symbol")
        if symbols is not None:
            instruments = instruments.filter(symbol__in=list(symbols))
            actions = actions.filter(instrument__symbol__in=list(symbols))
        rows = list(actions.values_list("instrument__symbol", "kind", "ex_date", "ratio", "cash_amount"))
        super().__init__(
            default_lake(),
            listings=[listing_of(instrument) for instrument in instruments],
            splits=[Split(row[0], row[2], row[3]) for row in rows if row[1] == ActionKind.SPLIT and row[3]],
            dividends=[Dividend(row[0], row[2], row[4]) for row in rows if row[1] == ActionKind.DIVIDEND and row[4]],
            seed=seed,
        )


def listing_of(instrument: Instrument) -> Listing:
    """Return an instrument as the broker lists it: as people set it, not as a broker's own denial was noted."""
    return Listing(
        symbol=instrument.symbol,
        name=instrument.name,
        exchange=exchange_of(instrument.exchange),
        tradable=instrument.tradable or bool(instrument.tradable_denied_by),
        shortable=instrument.shortable or bool(instrument.shortable_denied_by),
        fractionable=instrument.fractionable or bool(instrument.fractionable_denied_by),
    )
