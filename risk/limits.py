"""Every limit by name: unit, default, and how overrides combine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from risk.types import EffectiveLimits, LimitValues

HARD_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class LimitDefinition:
    """One limit: what it bounds, in which unit, its default, and the values an operator may set."""

    name: str
    label: str
    unit: str
    default: Decimal = HARD_ZERO
    minimum: Decimal = HARD_ZERO
    maximum: Decimal = Decimal(10) ** 11


def _definitions() -> tuple[LimitDefinition, ...]:
    define = LimitDefinition
    hundred = Decimal(100)
    return (
        define("max_order_quantity", "Fat finger: shares in one order", "shares", Decimal(10_000)),
        define("max_order_notional", "Fat finger: value of one order", "currency", Decimal(100_000)),
        define("max_order_adv_pct", "Share of average daily volume in one order", "%", Decimal(5), maximum=hundred),
        define("price_collar_pct", "Distance of a price from the last", "%", Decimal(10), maximum=hundred),
        define("max_price_age_seconds", "Age of a price, in trading time", "s", Decimal(1800)),
        define("max_position_quantity", "Shares held in one name", "shares", Decimal(1_000)),
        define("max_position_notional", "Value held in one name", "currency", Decimal(100_000)),
        define("max_gross_notional", "Gross exposure", "currency", Decimal(500_000)),
        define("max_net_notional", "Net exposure", "currency", Decimal(500_000)),
        define("max_names", "Number of names", "names", Decimal(20)),
        define("max_open_orders", "Open orders at a time", "orders", Decimal(1_000)),
        define("max_orders_per_minute", "New orders in a market minute", "orders", Decimal(300)),
        define("min_order_interval_seconds", "Between orders of one name and strategy", "s", Decimal(30)),
        define("auction_quiet_minutes", "No market orders after the open and before the close", "min", Decimal(5)),
        define("daily_loss_pct", "Loss since the last close", "% of equity", Decimal(2), maximum=hundred),
        define("weekly_loss_pct", "Loss since last week's close", "% of equity", Decimal(5), maximum=hundred),
        define("intraday_loss_pct", "Loss from the session's highest equity", "% of it", Decimal(3), maximum=hundred),
        define("drawdown_pct", "Loss from the highest equity ever", "% of it", Decimal(10), maximum=hundred),
        define("max_broker_errors_per_minute", "Failures of the broker in a minute", "errors", Decimal(10)),
        define("max_rejects_per_minute", "Orders that the broker rejects in a minute", "orders", Decimal(10)),
        define("max_feed_age_seconds", "Age of the price of a held name, in trading time", "s", Decimal(1800)),
        define("max_clock_skew_ms", "The broker's clock against ours", "ms", Decimal(2_000)),
        define(
            "breaker_confirmations",
            "Looks in a row that must agree before a price trips the breaker",
            "looks",
            Decimal(2),
            minimum=Decimal(1),
            maximum=Decimal(60),
        ),
        define("breaker_warning_pct", "Part of a breaker's limit that warns", "%", Decimal(80), maximum=hundred),
        define(
            "auto_reduce", "Reduce by itself what the market has carried over a limit", "0 or 1", maximum=Decimal(1)
        ),
        define("max_correlation_pct", "Correlation of a new name with a held one", "%", Decimal(90), maximum=hundred),
        define(
            "max_var_pct", "Loss of a day that is exceeded on one day in 20", "% of equity", Decimal(5), maximum=hundred
        ),
        define("market_order_cost_bps", "Assumed cost of a market order", "bps", Decimal(10), maximum=Decimal(10_000)),
    )


LIMITS: dict[str, LimitDefinition] = {definition.name: definition for definition in _definitions()}

if {item.name for item in fields(LimitValues)} != set(LIMITS):  # two lists of one fact must agree at start
    raise RuntimeError("risk.limits.LIMITS and risk.types.LimitValues name different limits")


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One stored value; an empty strategy or symbol means all of them."""

    name: str
    strategy: str
    symbol: str
    value: Decimal


class LimitBook:
    """Stored limits of one version, resolved per (strategy, symbol) and remembered."""

    def __init__(self, *, rows: Iterable[LimitRow], defaults: Mapping[str, Decimal], version: int) -> None:
        self.version = version
        self._defaults = {name: defaults.get(name, definition.default) for name, definition in LIMITS.items()}
        self._rows = {(row.strategy, row.symbol, row.name): row.value for row in rows}
        self._resolved: dict[tuple[str, str], EffectiveLimits] = {}

    def resolve(self, *, strategy: str, symbol: str) -> EffectiveLimits:
        """Return the limits in force; the most specific row wins: strategy and symbol, then either, then global."""
        key = (strategy, symbol)
        if key not in self._resolved:
            self._resolved[key] = EffectiveLimits(
                account=self._values([("", symbol), ("", "")]),
                strategy=self._values([(strategy, symbol), (strategy, ""), ("", symbol), ("", "")]),
                version=self.version,
            )
        return self._resolved[key]

    def _values(self, keys: list[tuple[str, str]]) -> LimitValues:
        return LimitValues(**{name: self._value(name, keys) for name in LIMITS})

    def _value(self, name: str, keys: list[tuple[str, str]]) -> Decimal:
        for strategy, symbol in keys:
            value = self._rows.get((strategy, symbol, name))
            if value is not None:
                return value
        return self._defaults[name]
