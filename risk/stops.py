"""What an engaged kill switch stops: the ladder as data, and which of the engaged scopes cover an order.

Gate, claim, sweep, halt and the second lock all ask here, so that no two of them read a level differently.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from risk.models import GLOBAL_SCOPE
from risk.states import SwitchLevel


class Cancels(Enum):
    """Which open orders a level takes back."""

    NOTHING = "nothing"
    INCREASING = "increasing"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Rung:
    """What a level lets pass, and what it cancels."""

    adding_passes: bool
    reducing_passes: bool
    closing_passes: bool
    cancels: Cancels


LADDER: dict[SwitchLevel, Rung] = {
    SwitchLevel.ACTIVE: Rung(True, True, True, Cancels.NOTHING),
    SwitchLevel.REDUCING: Rung(False, True, True, Cancels.INCREASING),
    SwitchLevel.HALTED: Rung(False, False, False, Cancels.EVERYTHING),
    SwitchLevel.FLATTENING: Rung(False, False, True, Cancels.EVERYTHING),
}
ORDER: tuple[SwitchLevel, ...] = tuple(LADDER)


def rank(level: str) -> int:
    """Return how high on the ladder a level stands; active is 0."""
    return ORDER.index(SwitchLevel(level))


def strongest(levels: Iterable[str]) -> SwitchLevel:
    """Return the highest level, active when there is none."""
    return max((SwitchLevel(level) for level in levels), key=rank, default=SwitchLevel.ACTIVE)


@dataclass(frozen=True, slots=True)
class Stop:
    """The engaged scopes that cover an order, and the strongest of their levels.

    The strongest decides: what a person told to close is closed, whatever else is halted around it.
    """

    level: SwitchLevel = SwitchLevel.ACTIVE
    scopes: tuple[str, ...] = ()

    def lets_pass(self, *, reduces: bool, closes: bool) -> bool:
        """Tell whether an order passes; `closes` is one that reduces and was made by a flatten procedure."""
        rung = LADDER[self.level]
        if rung.adding_passes or (reduces and rung.reducing_passes):
            return True
        return reduces and closes and rung.closing_passes


@dataclass(frozen=True, slots=True)
class StopScopes:
    """Every engaged scope with its level."""

    levels: Mapping[str, SwitchLevel]

    @classmethod
    def read(cls, engaged: Iterable[str], *, has_global: bool) -> "StopScopes":
        """Read `level scope` words; a global switch that was never stored counts as halted."""
        found: dict[str, SwitchLevel] = {} if has_global else {GLOBAL_SCOPE: SwitchLevel.HALTED}
        for word in engaged:
            level, _, scope = word.partition(" ")
            found[scope] = strongest((level, found.get(scope, SwitchLevel.ACTIVE)))
        return cls(found)

    def stop_of(self, *, account_scope: str, strategy: str, symbol: str) -> Stop:
        """Return what stops an order of that account, strategy and symbol."""
        covering = {GLOBAL_SCOPE, account_scope, f"strategy:{strategy}", f"symbol:{symbol}"}
        scopes = tuple(sorted(covering.intersection(self.levels)))
        return Stop(strongest(self.levels[scope] for scope in scopes), scopes)

    def level_of_account(self, account_scope: str) -> SwitchLevel:
        """Return the strongest level that covers the whole account."""
        return strongest(self.levels[scope] for scope in (GLOBAL_SCOPE, account_scope) if scope in self.levels)

    def concerning(self, account_scope: str) -> dict[str, SwitchLevel]:
        """Return the engaged scopes that may touch orders of the account, the whole-account ones first."""
        whole = {scope: self.levels[scope] for scope in (GLOBAL_SCOPE, account_scope) if scope in self.levels}
        parts = {
            scope: level for scope, level in sorted(self.levels.items()) if not scope.startswith(("global", "account:"))
        }
        return whole | parts
