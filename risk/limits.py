"""Every limit by name: unit, default, and how overrides combine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
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
    one, hundred = Decimal(1), Decimal(100)
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
        define("max_clock_skew_ms", "The broker's clock against ours", "ms", Decimal(1_000)),
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
        define("nbbo_collar_pct", "Distance of a price beyond bid and ask", "%", Decimal(10), maximum=hundred),
        define("max_nbbo_age_seconds", "Age of bid and ask that a limit is held against", "s", Decimal(1800)),
        define("max_sector_notional", "Value held in one sector", "currency", Decimal(500_000)),
        define("max_open_orders_per_symbol", "Open orders in one name", "orders", Decimal(100)),
        define("max_daily_turnover", "Value of the orders accepted in a session", "currency", Decimal(20_000_000)),
        define("max_messages_per_minute", "Orders, new terms and cancels in a minute", "messages", Decimal(600)),
        define("max_identical_orders", "Orders alike in all their terms", "orders", Decimal(10), maximum=hundred),
        define("identical_window_seconds", "Time in which orders alike are counted", "s", Decimal(60)),
        define("max_repeated_orders", "Orders of one strategy, name and side in a row", "orders", Decimal(60)),
        define("repeat_window_seconds", "Time in which such a row is counted", "s", Decimal(600)),
        define("self_trade_prevention", "Deny what would meet an order of ours", "0 or 1", Decimal(1), maximum=one),
        define("order_clock_skew_ms", "The broker's clock against ours, at an order", "ms", Decimal(1_000)),
        define("max_signal_age_sessions", "Age of the signals that a run trades on", "sessions", one, minimum=one),
    )


LIMITS: dict[str, LimitDefinition] = {definition.name: definition for definition in _definitions()}

SOFT, SOFT_SHARE = "soft_", Decimal("0.8")
NEVER_WARN = Decimal(10) ** 15
WITH_SOFT = (
    "max_order_quantity",
    "max_order_notional",
    "max_order_adv_pct",
    "price_collar_pct",
    "nbbo_collar_pct",
    "max_position_quantity",
    "max_position_notional",
    "max_sector_notional",
    "max_gross_notional",
    "max_net_notional",
    "max_names",
    "max_open_orders",
    "max_open_orders_per_symbol",
    "max_orders_per_minute",
    "max_messages_per_minute",
    "max_identical_orders",
    "max_repeated_orders",
    "max_daily_turnover",
    "daily_loss_pct",
    "weekly_loss_pct",
    "intraday_loss_pct",
    "drawdown_pct",
    "order_clock_skew_ms",
)


def _soft(hard: LimitDefinition) -> LimitDefinition:
    return LimitDefinition(
        name=f"{SOFT}{hard.name}",
        label=f"Warning: {hard.label[0].lower()}{hard.label[1:]}",
        unit=hard.unit,
        default=hard.default * SOFT_SHARE,
        maximum=hard.maximum,
    )


SOFT_LIMITS: dict[str, LimitDefinition] = {f"{SOFT}{name}": _soft(LIMITS[name]) for name in WITH_SOFT}
"""The soft value of a limit: what passes it is accepted with a warning. Without one of its own it is four fifths of the
hard value that is in force; 0 warns of nothing."""
SETTABLE: dict[str, LimitDefinition] = LIMITS | SOFT_LIMITS
"""All that an operator may set."""

if {item.name for item in fields(LimitValues)} != set(LIMITS):  # two lists of one fact must agree at start
    raise RuntimeError("risk.limits.LIMITS and risk.types.LimitValues name different limits")


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One stored value; an empty strategy or symbol means all of them."""

    name: str
    strategy: str
    symbol: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Override:
    """Another value of a limit for a while: from `valid_from` until before `valid_until`, wall time."""

    id: int
    name: str
    strategy: str
    symbol: str
    value: Decimal
    valid_from: datetime
    valid_until: datetime


Scopes = Sequence[tuple[str, str]]
Values = Mapping[tuple[str, str, str], Decimal]


class LimitBook:
    """Stored limits of one version, resolved per (strategy, symbol) and remembered."""

    def __init__(
        self,
        *,
        rows: Iterable[LimitRow],
        defaults: Mapping[str, Decimal],
        version: int,
        overrides: Iterable[Override] = (),
    ) -> None:
        self.version = version
        self._defaults = {name: defaults.get(name, definition.default) for name, definition in LIMITS.items()}
        self._rows = {(row.strategy, row.symbol, row.name): row.value for row in rows}
        self._overrides = tuple(sorted(overrides, key=lambda override: override.id))
        self._resolved: dict[tuple[str, str, tuple[int, ...]], EffectiveLimits] = {}

    def resolve(self, *, strategy: str, symbol: str, at: datetime | None = None) -> EffectiveLimits:
        """Return the limits in force; the most specific row wins: strategy and symbol, then either, then global.

        `at` is the wall time by which overrides begin and end: one in force stands before the row of its own scope.
        Without it none counts.
        """
        running = () if at is None else self._running(at)
        key = (strategy, symbol, tuple(override.id for override in running))
        if key not in self._resolved:
            self._resolved[key] = self._resolve(strategy, symbol, running)
        return self._resolved[key]

    def _running(self, at: datetime) -> tuple[Override, ...]:
        if not self._overrides:
            return ()
        return tuple(override for override in self._overrides if override.valid_from <= at < override.valid_until)

    def _resolve(self, strategy: str, symbol: str, running: tuple[Override, ...]) -> EffectiveLimits:
        values = self._rows | {(row.strategy, row.symbol, row.name): row.value for row in running}
        account: Scopes = (("", symbol), ("", ""))
        own: Scopes = ((strategy, symbol), (strategy, ""), *account)
        hard = {name: self._hard(values, scopes) for name, scopes in (("account", account), ("strategy", own))}
        return EffectiveLimits(
            **hard,
            version=self.version,
            soft=EffectiveLimits(
                account=self._soft(values, account, hard["account"]),
                strategy=self._soft(values, own, hard["strategy"]),
                version=self.version,
            ),
        )

    def _hard(self, values: Values, scopes: Scopes) -> LimitValues:
        return LimitValues(**{name: _value(values, name, scopes, self._defaults[name]) for name in LIMITS})

    def _soft(self, values: Values, scopes: Scopes, hard: LimitValues) -> LimitValues:
        found = {}
        for name in WITH_SOFT:
            value = _value(values, f"{SOFT}{name}", scopes, getattr(hard, name) * SOFT_SHARE)
            found[name] = value or NEVER_WARN
        return replace(hard, **found)


def _value(values: Values, name: str, scopes: Scopes, default: Decimal) -> Decimal:
    for strategy, symbol in scopes:
        value = values.get((strategy, symbol, name))
        if value is not None:
            return value
    return default


def in_force(limits: EffectiveLimits, name: str) -> tuple[Decimal, Decimal]:
    """Return a limit's value for the account and for the strategy, a soft one's too; 0 is a warning that is off."""
    values = limits
    if name in SOFT_LIMITS:
        assert limits.soft is not None, "a resolved set of limits has its soft values"
        values, name = limits.soft, name.removeprefix(SOFT)
    account, strategy = (getattr(each, name) for each in (values.account, values.strategy))
    return (_shown(account), _shown(strategy))


def _shown(value: Decimal) -> Decimal:
    return HARD_ZERO if value == NEVER_WARN else value
