"""May anything be sent at all: kill switch, breaker, reconciliation, strategy."""

from risk.states import BreakerState, SwitchLevel
from risk.stops import Stop
from risk.types import Case, Denial, DenialCode, Origin


def check_kill_switch(case: Case) -> Denial | None:
    """Deny what the strongest level of the engaged switches that cover the order stops; cancels do not pass here.

    `reducing` lets orders pass that reduce, `flattening` those of a flatten procedure alone, `halted` none.
    """
    state, intent = case.state, case.intent
    if not state.halted_by:
        return None
    stop = Stop(SwitchLevel(state.halt_level), state.halted_by)
    if stop.lets_pass(reduces=case.reduces, closes=intent.origin == Origin.FLATTEN and intent.reduce_only):
        return None
    scopes = ", ".join(state.halted_by)
    more = ": only orders that reduce a position pass" if state.halt_level == SwitchLevel.REDUCING else ""
    return Denial(DenialCode.KILL_SWITCH, f"the kill switch is engaged ({scopes}){more}", limit="off", observed=scopes)


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
    """Deny everything until the book has been found equal to the broker's, or two people have answered for it.

    What an operator closes with goes nevertheless: it only reduces, and is sized by what the broker says is held.
    """
    intent = case.intent
    closes = intent.origin == Origin.FLATTEN and intent.reduce_only and case.reduces
    if case.state.reconciliation in ("clean", "forced") or closes:
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
