"""Each control alone: that its rule refuses and nothing else does, and the step over its limit."""

import pytest

from risk.catalogue import CONTROLS
from risk.gate import evaluate
from tests.controls.boundaries import BOUNDARIES, Boundary
from tests.risk.cases import make_case
from tests.risk.test_gate import ONLY

RULES = [
    pytest.param(code, marks=pytest.mark.control(control.number, "unit"), id=f"{control.number}-{code.value}")
    for control in CONTROLS
    for code in control.codes
]
EDGES = [
    pytest.param(edge, marks=pytest.mark.control(edge.number, "boundary"), id=f"{edge.number}-{edge.name}")
    for edge in BOUNDARIES
]


@pytest.mark.parametrize("code", RULES)
def test_the_rule_refuses_alone_and_says_the_numbers(code):
    assert evaluate(make_case())[1] == []
    (denial,) = evaluate(make_case(**ONLY[code]))[1]
    assert denial.code == code
    assert denial.limit
    assert denial.observed


@pytest.mark.parametrize("edge", EDGES)
def test_one_step_within_the_limit_at_it_and_over_it(edge: Boundary):
    found = [[denial.code for denial in evaluate(make_case(**step.fields))[1]] for step in edge.steps]
    assert found == [[] if step.code is None else [step.code] for step in edge.steps]
