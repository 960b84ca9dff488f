"""Kill switch, breaker, reconciliation and strategy: every state against every kind of order."""

import itertools

import pytest

from risk.checks.state import check_breaker, check_kill_switch, check_reconciliation, check_strategy_enabled
from risk.states import BreakerState
from risk.types import DenialCode
from tests.risk.cases import code_of, make_case, make_state, reducing

ORDERS = ("adding", "reducing")
STRICT = {  # these refuse whatever the order is
    check_kill_switch: (DenialCode.KILL_SWITCH, {"halted_by": ("global",)}),
    check_reconciliation: (DenialCode.RECONCILIATION_PENDING, {"reconciliation": "pending"}),
}
LENIENT = {  # these let pass what only reduces
    check_breaker: (DenialCode.CIRCUIT_BREAKER, {"breaker": "tripped"}),
    check_strategy_enabled: (DenialCode.STRATEGY_DISABLED, {"strategy_enabled": False}),
}


def order_in(kind, **state):
    case = make_case(state=make_state(**state))
    return reducing(case) if kind == "reducing" else case


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("check", [*STRICT, *LENIENT])
def test_nothing_is_denied_in_the_normal_state(check, kind):
    assert check(order_in(kind)) is None


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("check", STRICT)
def test_kill_switch_and_reconciliation_deny_reducing_orders_too(check, kind):
    code, state = STRICT[check]
    assert code_of(check(order_in(kind, **state))) == code


@pytest.mark.parametrize("check", LENIENT)
def test_breaker_and_disabled_strategy_let_reducing_orders_pass(check):
    code, state = LENIENT[check]
    assert code_of(check(order_in("adding", **state))) == code
    assert check(order_in("reducing", **state)) is None


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(BreakerState, ORDERS)))
def test_breaker_state_by_order_matrix(state, kind):
    passes = state == BreakerState.OPEN or kind == "reducing"
    assert (check_breaker(order_in(kind, breaker=state)) is None) is passes


@pytest.mark.parametrize("state", ["", "unknown", "OPEN", "closed"])
def test_unknown_breaker_state_is_not_open(state):
    assert code_of(check_breaker(order_in("adding", breaker=state))) == DenialCode.CIRCUIT_BREAKER


@pytest.mark.parametrize("state", ["pending", "broken", "", "unknown"])
def test_anything_but_clean_is_not_reconciled(state):
    denial = check_reconciliation(order_in("adding", reconciliation=state))
    assert denial is not None
    assert (denial.code, denial.limit, denial.observed) == (DenialCode.RECONCILIATION_PENDING, "clean", state)


def test_kill_switch_denial_names_every_scope_that_is_engaged():
    denial = check_kill_switch(order_in("adding", halted_by=("global", "strategy:momentum")))
    assert denial is not None
    assert denial.observed == "global, strategy:momentum"
