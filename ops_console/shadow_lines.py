"""A strategy's versions beside each other as a page shows them."""

from dataclasses import dataclass

from ops_console.figures import NOTHING, number, percent, signed, tone
from signals.selectors import VersionRecord, shadow_comparison


@dataclass(frozen=True, slots=True)
class ShadowLine:
    """One version's record, ready to be read."""

    version_id: int
    number: int
    role: str
    sessions: int
    span: str
    returned: str
    tone: str
    pnl: str
    turnover: str
    rank_ic: str
    failures: int


def shadow_lines(strategy: str) -> list[ShadowLine]:
    """Return the active version and its shadows; nothing while none was ever in the shadow."""
    return [_line(record) for record in shadow_comparison(strategy)]


def _line(record: VersionRecord) -> ShadowLine:
    known = record.sessions > 0
    return ShadowLine(
        version_id=record.version,
        number=record.number,
        role=record.role,
        sessions=record.sessions,
        span=f"{record.first} to {record.last}" if known else NOTHING,
        returned=percent(record.returned) if known else NOTHING,
        tone=tone(record.returned * 100) if known else "unknown",
        pnl=signed(record.pnl) if known else NOTHING,
        turnover=percent(record.turnover).lstrip("+") if known else NOTHING,
        rank_ic=number(record.rank_ic, 4),
        failures=record.failures,
    )
