"""Read request bodies strictly: JSON objects only, no number through binary floating point, everything bounded."""

import json
from decimal import Decimal
from typing import Any, NoReturn

from ops_console.api.codes import ProblemCode, shown
from ops_console.api.problems import Problem

LARGEST_BODY = 64 * 1024
DEEPEST = 8
LONGEST_NUMBER = 64


class RefusedJson(ValueError):
    """Valid enough for a parser, not for a platform that handles money."""


def _whole(text: str) -> int:
    return int(_bounded(text))


def _fraction(text: str) -> Decimal:
    return Decimal(_bounded(text))


def _bounded(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        raise RefusedJson(f"a number has {len(text)} characters, at most {LONGEST_NUMBER} are allowed")
    return text


def _constant(text: str) -> NoReturn:
    raise RefusedJson(f"{text} is not a number in JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RefusedJson("a name is given twice in one object")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_fraction, parse_int=_whole, parse_constant=_constant, object_pairs_hook=_unique
)


def parse_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; an empty body counts as an empty object.

    :raises Problem: too large, not UTF-8, not JSON, not an object, or nested deeper than the API ever needs
    """
    if len(body) > LARGEST_BODY:
        raise Problem(ProblemCode.CONTENT_TOO_LARGE, f"{len(body)} bytes were sent, {LARGEST_BODY} are allowed")
    if not body.strip():
        return {}
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except RecursionError as error:
        raise Problem(ProblemCode.MALFORMED_JSON, f"nested deeper than {DEEPEST} levels") from error
    except ValueError as error:
        raise Problem(ProblemCode.MALFORMED_JSON, shown(str(error))) from error
    if not isinstance(value, dict):
        raise Problem(ProblemCode.MALFORMED_JSON, "the body must be one JSON object")
    if _depth(value) > DEEPEST:
        raise Problem(ProblemCode.MALFORMED_JSON, f"nested deeper than {DEEPEST} levels")
    return value


def _depth(value: Any) -> int:
    """Return the number of nested containers, counted level by level so that no input can exhaust the stack."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            break
        depth += 1
        level = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    return depth
