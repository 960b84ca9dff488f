"""Who may import whom."""

import ast

import pytest

from tests.architecture.source import APPS, REPOSITORY, Source, sources

ALLOWED = {
    "marketdata": set(),
    "signals": {"marketdata"},
    "risk": {"marketdata"},
    "execution": {"marketdata", "risk"},
    "trading": {"marketdata", "signals", "risk", "execution"},
    "ops_console": {"marketdata", "signals", "risk", "execution", "trading"},
}
# The composition root may import anything, and nothing imports it.
ROOT_NAMES = ("settings", "urls", "api_urls", "asgi", "wsgi", "embedded", "environment", "log_config", "secret_key")
ROOT = {f"trading.{name}" for name in ROOT_NAMES}
ADAPTERS = ("execution/brokers/alpaca", "marketdata/providers/alpaca")


def imported_modules(source: Source) -> list[tuple[ast.AST, str]]:
    """Return each module a file names in an import, with `from a import b` as `a.b`."""
    found: list[tuple[ast.AST, str]] = []
    for node in source.nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def module_of(source: Source) -> str:
    return source.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def is_root(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in ROOT)


def test_apps_import_only_what_is_below_them():
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in sources()
        if not is_root(module_of(source))
        for node, module in imported_modules(source)
        if (app := module.split(".")[0]) in APPS and app != source.app and app not in ALLOWED[source.app]
    ]
    assert wrong == []


def test_nothing_imports_the_composition_root():
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in sources()
        if not is_root(module_of(source))
        for node, module in imported_modules(source)
        if is_root(module)
    ]
    assert wrong == []


def test_relative_imports_do_not_hide_an_edge():
    wrong = [
        source.at(node)
        for source in sources()
        for node in source.nodes(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert wrong == []


def test_only_the_adapters_know_the_broker_library():
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in sources()
        if not source.path.startswith(ADAPTERS)
        for node, module in imported_modules(source)
        if module.split(".")[0] == "alpaca"
    ]
    assert wrong == []


def test_no_tests_in_the_product():
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in sources()
        for node, module in imported_modules(source)
        if module.split(".")[0] in {"tests", "pytest", "hypothesis"}
    ]
    assert wrong == []


@pytest.mark.parametrize("app", APPS)
def test_no_foreign_key_points_upwards(app):
    from django.apps import apps

    wrong = [
        f"{model.__name__}.{field.name} -> {other}"
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and field.related_model is not None
        if (other := field.related_model._meta.app_label) in APPS and other != app and other not in ALLOWED[app]
    ]
    assert wrong == []


def test_names_say_what_a_file_is_about():
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    folders = [REPOSITORY / name for name in (*APPS, "tests")]
    wrong = [str(path) for folder in folders for path in folder.rglob("*") if path.name.removesuffix(".py") in vague]
    assert wrong == []
