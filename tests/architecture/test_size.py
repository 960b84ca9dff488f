"""A function fits on a screen; a file can be read in one go."""

import ast
from collections.abc import Iterator
from statistics import median

from tests.architecture.source import Source, sources

FUNCTION_LINES = 70
FILE_LINES = 500
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[Function]:
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{source.at(node)} {node.name}: {length(node)} lines"
        for source in sources()
        for node in functions(source)
        if length(node) > FUNCTION_LINES
    ]
    assert long == []


def test_no_file_is_longer_than_it_can_be_read():
    assert [f"{source.path}: {source.lines} lines" for source in sources() if source.lines > FILE_LINES] == []


def test_most_functions_are_small():
    assert median(length(node) for source in sources() for node in functions(source)) <= 13
