"""Money is never binary floating point where it is decided, booked or sent."""

import ast

from tests.architecture.source import sources

MONEY = ("risk", "execution", "trading")
# Seconds between restarts, polls and locks are not money.
TIMING = {
    "trading/embedded.py": "pauses while servers start and stop",
    "trading/management/commands/up.py": "pauses between looks at the console",
    "trading/settings.py": "polls of the task queue",
    "trading/supervisor.py": "pauses between restarts",
}


def is_float(node: ast.AST) -> bool:
    named = isinstance(node, ast.Name) and node.id == "float"
    return named or (isinstance(node, ast.Constant) and isinstance(node.value, float))


def test_no_float_in_money():
    wrong = [
        source.at(node)
        for source in sources()
        if source.app in MONEY and source.path not in TIMING
        for node in ast.walk(source.tree)
        if is_float(node)
    ]
    assert wrong == []


def test_the_exceptions_are_needed():
    floating = {source.path for source in sources() if any(is_float(node) for node in ast.walk(source.tree))}
    assert set(TIMING) <= floating


def test_no_float_field_on_a_model_of_money():
    wrong = [
        source.at(node)
        for source in sources()
        if source.app in MONEY
        for node in source.nodes(ast.Attribute)
        if isinstance(node, ast.Attribute) and node.attr == "FloatField"
    ]
    assert wrong == []
