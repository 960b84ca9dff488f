"""Can what the order stands on be trusted: the code, the clock, the signals."""

from risk.types import Case, Denial, DenialCode, Origin


def check_version(case: Case) -> Denial | None:
    """Deny what adds risk in a process of another version than the announced one: two rule books would trade."""
    state = case.state
    if state.release == state.version or case.reduces:
        return None
    return Denial(
        DenialCode.VERSION_MISMATCH,
        f"this process runs version {state.version or 'unknown'}, {state.release} may trade: start it anew",
        limit=state.release or "none",
        observed=state.version or "unknown",
    )


def check_clock(case: Case) -> Denial | None:
    """Deny what adds risk while our clock and the broker's differ by more than allowed (milliseconds)."""
    skew, limit = case.state.clock_skew_ms, case.limits.account.order_clock_skew_ms
    if skew is None or abs(skew) <= limit or case.reduces:
        return None
    return Denial(
        DenialCode.CLOCK_SKEW,
        f"the broker's clock is {abs(skew)} ms {'ahead of' if skew > 0 else 'behind'} ours",
        limit=f"{limit.normalize():f} ms",
        observed=f"{skew} ms",
        scope="account",
    )


def check_signals(case: Case) -> Denial | None:
    """Deny orders of a run whose signals are unknown, too old, or of a session that is not over."""
    if case.intent.origin != Origin.RUN or case.reduces:
        return None
    age, limit = case.signal_age, case.limits.strategy.max_signal_age_sessions
    if age is not None and 1 <= age <= limit:
        return None
    told = "it does not say what its signals were made from" if age is None else f"its signals are {age} sessions old"
    return Denial(
        DenialCode.SIGNALS_STALE,
        f"the run cannot trade: {told}",
        limit=f"1 to {limit.normalize():f} sessions",
        observed="unknown" if age is None else f"{age} sessions",
        scope=f"strategy:{case.intent.strategy}",
    )


def check_model(case: Case) -> Denial | None:
    """Deny what adds risk on the scores of a model that is not signed, not approved, or was taken back since."""
    refusal = case.intent.model_refusal
    if not refusal or case.reduces:
        return None
    return Denial(
        DenialCode.MODEL_UNAPPROVED,
        f"the signals stand on a model that may not trade: {refusal}",
        limit="a signed and approved model",
        observed=refusal,
        scope=f"strategy:{case.intent.strategy}",
    )
