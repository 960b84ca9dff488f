"""May anything be sent at all: kill switch, breaker, reconciliation, strategy."""

from risk.states import BreakerState
from risk.types import Case, Denial, DenialCode


def check_kill_switch(case: Case) -> Denial | None:
    """Deny everything while a kill switch that covers the order is engaged; cancels do not pass here."""
    if not case.state.halted_by:
        return None
    scopes = ", ".join(case.state.halted_by)
    return Denial(DenialCode.KILL_SWITCH, f"the kill switch is engaged ({scopes})", limit="off", observed=scopes)


def check_breaker(case: Case) -> Denial | None:
    """Deny what adds risk unless the breaker is open (trading)."""
    if case.state.breaker == BreakerState.OPEN or case.reduces:
        return None
    return Denial(
        DenialCode.CIRCUIT_BREAKER,
        f"the circuit breaker is {case.state.breaker}: only orders that reduce a position pass",
        limit=BreakerState.OPEN.value,
        observed=case.state.breaker,
    )


def check_reconciliation(case: Case) -> Denial | None:
    """Deny everything until the book has been found equal to the broker's."""
    if case.state.reconciliation == "clean":
        return None
    return Denial(
        DenialCode.RECONCILIATION_PENDING,
        f"the book is not reconciled with the broker ({case.state.reconciliation})",
        limit="clean",
        observed=case.state.reconciliation,
    )


def check_strategy_enabled(case: Case) -> Denial | None:
    """Deny what adds risk for a strategy that is switched off."""
    if case.state.strategy_enabled or case.reduces:
        return None
    return Denial(
        DenialCode.STRATEGY_DISABLED,
        f"strategy {case.intent.strategy} is unknown or not enabled",
        limit="enabled",
        observed="not enabled",
        scope=f"strategy:{case.intent.strategy}",
    )
