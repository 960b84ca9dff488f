"""The controls of the gate, as a list for people: what each refuses with, what it is set by, whose it is.

The list is the union of what SEC rule 15c3-5, MiFID II RTS 6, the FIA and the exchanges ask for. The document and the
report of evidence are made from it.
"""

from dataclasses import dataclass

from risk.limits import LIMITS, SOFT, SOFT_LIMITS, LimitDefinition
from risk.types import DenialCode as Code

CELLS = ("unit", "boundary", "concurrent", "restart", "dependency")
"""What is shown of each control: the rule alone, the step over its limit, many at once, a new connection, and that no
order passes while something it needs is away."""

RISK, TRADING, PLATFORM = "risk officer", "trader", "platform"


@dataclass(frozen=True, slots=True)
class Control:
    """One control; `remark` says what the numbers do not."""

    number: int
    title: str
    codes: tuple[Code, ...]
    limits: tuple[str, ...] = ()
    owner: str = RISK
    remark: str = ""

    @property
    def definitions(self) -> tuple[LimitDefinition, ...]:
        """The limits that set it."""
        return tuple(LIMITS[name] for name in self.limits)

    @property
    def soft(self) -> tuple[LimitDefinition, ...]:
        """The values that warn."""
        names = (f"{SOFT}{name}" for name in self.limits)
        return tuple(SOFT_LIMITS[name] for name in names if name in SOFT_LIMITS)


CONTROLS: tuple[Control, ...] = (
    Control(
        1,
        "Kill switch: global, account, strategy, symbol",
        (Code.KILL_SWITCH,),
        owner=f"{TRADING} engages, two {RISK}s release",
        remark="No stored state counts as engaged. Read in the gate and again before sending.",
    ),
    Control(
        2,
        "Trading state: active, reducing, halted",
        (Code.CIRCUIT_BREAKER, Code.STRATEGY_DISABLED),
        remark="What reduces a position passes a tripped breaker; no stored state counts as tripped.",
    ),
    Control(
        3,
        "Market open, no auction restriction, not halted",
        (Code.MARKET_CLOSED, Code.AUCTION_WINDOW, Code.HALTED, Code.LULD_BAND, Code.NOT_TRADABLE),
        ("auction_quiet_minutes",),
        owner=PLATFORM,
        remark="The exchange's calendar, halts and price bands as the feed tells them.",
    ),
    Control(
        4,
        "Restricted and hard-to-borrow names",
        (Code.RESTRICTED, Code.NOT_SHORTABLE),
        remark="Hard to borrow is not shortable: the broker's list is read before each open, a person's word stays.",
    ),
    Control(5, "Largest order in shares", (Code.FAT_FINGER_QUANTITY,), ("max_order_quantity",)),
    Control(6, "Largest order in value", (Code.FAT_FINGER_NOTIONAL,), ("max_order_notional",)),
    Control(
        7,
        "Share of average daily volume",
        (Code.ADV_LIMIT,),
        ("max_order_adv_pct",),
        remark="An unknown volume denies.",
    ),
    Control(
        8,
        "Price collar: last, and bid and ask",
        (Code.PRICE_COLLAR, Code.NBBO_COLLAR),
        ("price_collar_pct", "nbbo_collar_pct", "max_nbbo_age_seconds"),
        remark="Each may be set for one symbol. Bid and ask are held against while they are told.",
    ),
    Control(
        9,
        "Stale, crossed or missing price",
        (Code.PRICE_UNAVAILABLE, Code.PRICE_STALE),
        ("max_price_age_seconds",),
        remark="Age counts in trading time; a price from the future denies.",
    ),
    Control(
        10,
        "Tick, lot, precision, positive finite numbers",
        (Code.INVALID_QUANTITY, Code.INVALID_PRICE, Code.INVALID_COMBINATION, Code.UNKNOWN_INSTRUMENT),
        owner=PLATFORM,
        remark="Nothing overrides it.",
    ),
    Control(
        11,
        "Duplicates: the same terms within a time",
        (Code.DUPLICATE_ORDER, Code.ORDER_INTERVAL),
        ("max_identical_orders", "identical_window_seconds", "min_order_interval_seconds"),
        remark="The same wish without an id of its own is the first order again and never reaches this.",
    ),
    Control(
        12,
        "Open orders: account, strategy, symbol",
        (Code.OPEN_ORDER_LIMIT, Code.SYMBOL_ORDER_LIMIT),
        ("max_open_orders", "max_open_orders_per_symbol"),
    ),
    Control(
        13,
        "Position, gross and net exposure: symbol, sector, account",
        (
            Code.POSITION_LIMIT,
            Code.NOTIONAL_LIMIT,
            Code.SECTOR_LIMIT,
            Code.GROSS_LIMIT,
            Code.NET_LIMIT,
            Code.NAME_LIMIT,
        ),
        (
            "max_position_quantity",
            "max_position_notional",
            "max_sector_notional",
            "max_gross_notional",
            "max_net_notional",
            "max_names",
        ),
        remark="Every open order counts as filled. Names without a sector share one.",
    ),
    Control(
        14,
        "Buying power, with cash reserved for open orders",
        (Code.BUYING_POWER,),
        remark="Equity times the account's margin multiplier.",
    ),
    Control(
        15,
        "Daily, weekly and intraday loss, drawdown",
        (Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.INTRADAY_LOSS, Code.DRAWDOWN),
        ("daily_loss_pct", "weekly_loss_pct", "intraday_loss_pct", "drawdown_pct", "market_order_cost_bps"),
        remark="What open orders may lose at once counts as lost. The peaks are those that the risk watch keeps.",
    ),
    Control(
        16,
        "Daily turnover",
        (Code.TURNOVER_LIMIT,),
        ("max_daily_turnover",),
        remark="Accepted orders at their reserve price, filled or not; new terms count instead of the old ones.",
    ),
    Control(
        17,
        "Message rate: orders, new terms and cancels",
        (Code.MESSAGE_RATE, Code.ORDER_RATE),
        ("max_messages_per_minute", "max_orders_per_minute"),
        remark="Cancels are counted and never stopped.",
    ),
    Control(
        18,
        "Repeated orders of one strategy, name and side",
        (Code.REPEATED_ORDERS,),
        ("max_repeated_orders", "repeat_window_seconds"),
        remark="The strategy is switched off until a person enables it. Slices of a parent count as one decision.",
    ),
    Control(
        19,
        "Children never exceed their parent",
        (Code.PARENT_EXCEEDED,),
        owner=PLATFORM,
        remark="The database refuses it as well.",
    ),
    Control(
        20,
        "No trade with oneself",
        (Code.SELF_TRADE,),
        ("self_trade_prevention",),
        remark="Resting limit orders of the account, of all strategies; two market orders of one auction are not seen.",
    ),
    Control(
        21,
        "Reduce-only really reduces",
        (Code.REDUCE_ONLY,),
        owner=PLATFORM,
        remark="Asked in the gate and again before sending.",
    ),
    Control(
        22,
        "Signals of a run are of the last close, from a signed and approved model",
        (Code.SIGNALS_STALE, Code.MODEL_UNAPPROVED),
        ("max_signal_age_sessions",),
        owner=PLATFORM,
        remark="A model that was taken back stops its run's orders; one that was only succeeded does not.",
    ),
    Control(
        23,
        "Version handshake",
        (Code.VERSION_MISMATCH,),
        owner=PLATFORM,
        remark="The newest announced version trades; before the first announcement any does.",
    ),
    Control(
        24,
        "Reconciled with the broker",
        (Code.RECONCILIATION_PENDING,),
        owner=PLATFORM,
        remark="Until the book agrees with the broker's nothing passes.",
    ),
    Control(
        25,
        "Clock within bounds of the broker's",
        (Code.CLOCK_SKEW,),
        ("order_clock_skew_ms",),
        owner=PLATFORM,
        remark="What reduces passes. The built-in exchange has no clock of its own.",
    ),
    Control(
        26,
        "Override: temporary, reasoned, approved by a second person",
        (),
        owner=f"two {RISK}s",
        remark="Names a limit, never the kill switch, the breaker, reconciliation or the form of an order.",
    ),
)
