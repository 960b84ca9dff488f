"""What a caller may do, in four nested steps: admin contains risk, risk contains trade, trade contains read."""

from collections.abc import Iterable

from django.db.models import TextChoices


class Scope(TextChoices):
    """Steps of what an API token or a role may do, weakest first."""

    READ = "read", "read everything"
    TRADE = "trade", "place and cancel orders, start runs, stop trading"
    RISK = "risk", "let trading go on, change limits"
    ADMIN = "admin", "everything"

    @property
    def rank(self) -> int:
        """Position in the nesting, 0 for the weakest."""
        return _RANKS[self.value]

    def covers(self, needed: "Scope") -> bool:
        """Tell whether this scope contains the needed one."""
        return self.rank >= needed.rank


_RANKS = {value: rank for rank, value in enumerate(Scope.values)}

# The groups of the console's roles and the most that each may do through the API.
ROLE_SCOPES: dict[str, Scope] = {
    "viewer": Scope.READ,
    "trader": Scope.TRADE,
    "risk_officer": Scope.RISK,
    "admin": Scope.ADMIN,
}


def scope_of_roles(roles: Iterable[str], *, is_superuser: bool) -> Scope | None:
    """Return the strongest scope among the roles; None when none of them gives any."""
    if is_superuser:
        return Scope.ADMIN
    held = [ROLE_SCOPES[role] for role in roles if role in ROLE_SCOPES]
    return max(held, key=lambda scope: scope.rank, default=None)


def weaker(first: Scope | None, second: Scope | None) -> Scope | None:
    """Return what both allow: a token never does more than its owner's roles, nor more than it was made for."""
    if first is None or second is None:
        return None
    return min(first, second, key=lambda scope: scope.rank)
