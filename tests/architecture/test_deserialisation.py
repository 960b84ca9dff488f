"""Nothing that is read can name code to run: no pickle and its kin, no `eval`, no loader of YAML that makes objects."""

import ast

from tests.architecture.source import sources

DANGEROUS_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
DANGEROUS_CALLS = {"eval", "exec", "compile"}
DANGEROUS_ATTRIBUTES = {("yaml", "load"), ("yaml", "unsafe_load"), ("torch", "load"), ("pandas", "read_pickle")}


def named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def test_nothing_imports_what_runs_code_while_it_reads():
    wrong = [
        f"{source.at(node)} imports {name}"
        for source in sources()
        for node in source.nodes(ast.Import, ast.ImportFrom)
        for name in named(node)
        if name.split(".")[0] in DANGEROUS_MODULES
    ]
    assert wrong == []


def test_nothing_evaluates_text():
    wrong = [
        source.at(node)
        for source in sources()
        for node in source.nodes(ast.Call)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in DANGEROUS_CALLS)
            or (
                isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id, node.func.attr) in DANGEROUS_ATTRIBUTES
            )
        )
    ]
    assert wrong == []
