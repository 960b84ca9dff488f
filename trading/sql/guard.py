"""What a query may be: one SELECT over our tables. Judged on the engine's own syntax tree. Pure.

The engine's statement type alone is not enough: `WITH x AS (COPY … TO …) SELECT …` counts as a SELECT. So every node of
the tree has to be of a kind that is known to read only, and every table one of ours or one that the query itself makes.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

NODES = frozenset(
    {
        "SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE",
        "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF",
        "ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER",
        "ASCENDING", "DESCENDING", "ORDER_DEFAULT",
    }
)  # fmt: skip
TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
REFUSED_FUNCTIONS = frozenset(
    {"current_setting", "set_config", "getenv", "getvariable", "write_log", "nextval", "currval", "sleep_ms", "error"}
)
REFUSED_PREFIXES = ("pg_", "duckdb_", "read_", "json_execute", "add_parquet_key")
OWN_SCHEMAS = frozenset({"", "main"})
ALL_TABLES = '"tables"'


class Refused(Exception):
    """The query is not one that may run; the text says why and what is allowed."""


def tables_of(connection: duckdb.DuckDBPyConnection, query: str, known: Iterable[str]) -> list[str]:
    """Return our tables that the query reads.

    :raises Refused: not one SELECT, or it reads something else
    """
    _one_select(connection, query)
    tree = _tree(connection, query)
    own = frozenset(known)
    made = {name.lower() for node in _nodes(tree) for name in _made_names(node)}
    used: set[str] = set()
    for node in _nodes(tree):
        used |= _judge(node, own, made)
    return sorted(used)


def _one_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise Refused(first_line(error)) from None
    if len(statements) != 1:
        raise Refused(f"{len(statements)} statements were given; exactly one SELECT is allowed")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        word = str(kind).removeprefix("StatementType.")
        hint = "; PIVOT needs its values: FROM t PIVOT (sum(x) FOR y IN ('a', 'b'))" if word == "MULTI" else ""
        raise Refused(f"a statement of the kind {word} is not allowed; one SELECT is{hint}")
    if statements[0].named_parameters:
        raise Refused("parameters ($1, ?) are not allowed; write the values into the query")


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise Refused(str(tree.get("error_message", "the query cannot be read")))
    return tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _made_names(node: dict[str, Any]) -> list[str]:
    """Return the names that a WITH gives to its parts."""
    parts = node.get("cte_map")
    entries = parts.get("map", []) if isinstance(parts, dict) else []
    return [str(entry["key"]) for entry in entries]


def _judge(node: dict[str, Any], own: frozenset[str], made: set[str]) -> set[str]:
    kind = node.get("type")
    if node.get("class") == "FUNCTION":
        _check_function(str(node.get("function_name", "")))
    if "class" in node or not isinstance(kind, str):
        return set()
    if kind not in NODES:
        raise Refused(f"{kind.removesuffix('_QUERY_NODE').lower()} is not allowed within a SELECT; reading is")
    if kind == "TABLE_FUNCTION":
        name = str(node.get("function", {}).get("function_name", ""))
        if name.lower() not in TABLE_FUNCTIONS:
            raise Refused(f"the table function {name} is not allowed; {', '.join(sorted(TABLE_FUNCTIONS))} are")
    if kind == "SHOW_REF" and not node.get("query"):
        if node.get("table_name") != ALL_TABLES:
            raise Refused(f"SHOW {node.get('table_name')} is not allowed; SHOW TABLES and DESCRIBE a table are")
        return set(own)
    return _table(node, own, made) if kind == "BASE_TABLE" else set()


def _table(node: dict[str, Any], own: frozenset[str], made: set[str]) -> set[str]:
    name, schema, catalog = (str(node.get(key, "")) for key in ("table_name", "schema_name", "catalog_name"))
    plain = not catalog and schema.lower() in OWN_SCHEMAS
    if plain and name.lower() in own:
        return {name.lower()}
    if plain and not schema and name.lower() in made:
        return set()
    shown = ".".join(part for part in (catalog, schema, name) if part)
    raise Refused(f"there is no table {shown}; there are {', '.join(sorted(own))}")


def _check_function(name: str) -> None:
    low = name.lower()
    if low in REFUSED_FUNCTIONS or low.startswith(REFUSED_PREFIXES):
        raise Refused(f"the function {name} is not allowed: it reads more than the tables")


def first_line(error: BaseException) -> str:
    """Return an error of the engine without the picture of the query below it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__
