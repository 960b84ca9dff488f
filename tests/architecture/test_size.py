"""A function fits on a screen; a file can be read in one go."""

import ast
from statistics import median

from tests.architecture.source import sources

FUNCTION_LINES = 70
FILE_LINES = 500
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{source.at(node)} {node.name}: {length(node)} lines"
        for source in sources()
        for node in source.nodes(*FUNCTIONS)
        if length(node) > FUNCTION_LINES
    ]
    assert long == []


def test_no_file_is_longer_than_it_can_be_read():
    assert [f"{source.path}: {source.lines} lines" for source in sources() if source.lines > FILE_LINES] == []


def test_most_functions_are_small():
    assert median(length(node) for source in sources() for node in source.nodes(*FUNCTIONS)) <= 13
