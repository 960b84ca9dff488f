"""What the earlier orders of a batch add to the counts that were read before it."""

from collections import Counter, defaultdict
from decimal import Decimal

from risk.types import Case, InstrumentView, OrderIntent, OrderType, Origin

ZERO = Decimal(0)


class Tally:
    """Counts the accepted orders of one batch by sector, terms, row and resting price."""

    def __init__(self) -> None:
        self._sectors: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
        self._terms: Counter[tuple[object, ...]] = Counter()
        self._runs: Counter[tuple[str, str, str]] = Counter()
        self._resting: dict[tuple[str, str], Decimal] = {}
        self._children: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)

    def count(self, case: Case, *, added: Decimal) -> None:
        """Count an accepted order; `added` is what it adds to the worst value of its line (account currency)."""
        intent, sector = case.intent, _sector(case.instrument)
        self._sectors["", sector] += added
        self._sectors[intent.strategy, sector] += added
        self._terms[_terms(intent)] += 1
        self._runs[_run(intent)] += counts_in_a_row(intent)
        if intent.parent_id is not None:
            self._children[intent.parent_id] += intent.quantity
        if intent.order_type == OrderType.LIMIT and intent.limit_price is not None:
            best = self._resting.get((intent.symbol, intent.side), intent.limit_price)
            better = max if intent.sign > 0 else min
            self._resting[intent.symbol, intent.side] = better(best, intent.limit_price)

    def sector(self, strategy: str, instrument: InstrumentView | None) -> Decimal:
        """Return what was added to the instrument's sector; an empty strategy means the account."""
        return self._sectors.get((strategy, _sector(instrument)), ZERO)

    def identical_count(self, intent: OrderIntent) -> int:
        """Return how many orders had these very terms."""
        return self._terms[_terms(intent)]

    def run_count(self, intent: OrderIntent) -> int:
        """Return how many orders had this strategy, name and side."""
        return self._runs[_run(intent)]

    def parent_left(self, intent: OrderIntent, stored: Decimal | None) -> Decimal | None:
        """Return what the parent has left for children (shares); None without a parent of that account and name."""
        if intent.parent_id is None or stored is None:
            return None
        return stored - self._children[intent.parent_id]

    def opposite_price(self, intent: OrderIntent, stored: Decimal | None) -> Decimal | None:
        """Return the best resting limit of the other side, of the batch and of what was stored before."""
        other = "sell" if intent.sign > 0 else "buy"
        found = [price for price in (stored, self._resting.get((intent.symbol, other))) if price is not None]
        if not found:
            return None
        return min(found) if intent.sign > 0 else max(found)


def counts_in_a_row(intent: OrderIntent) -> bool:
    """Tell whether the order is a decision of its own: a parent's slices are one, and so are an entry and its legs."""
    return intent.origin != Origin.SLICE and not intent.leg_role


def _sector(instrument: InstrumentView | None) -> str:
    return "" if instrument is None else instrument.sector


def _run(intent: OrderIntent) -> tuple[str, str, str]:
    return (intent.strategy, intent.symbol, str(intent.side))


def _terms(intent: OrderIntent) -> tuple[object, ...]:
    return (
        *_run(intent),
        intent.quantity,
        intent.order_type,
        intent.time_in_force,
        intent.limit_price,
        intent.stop_price,
        intent.parent_id,
        intent.slice_number,
        intent.replaces_id,
    )
