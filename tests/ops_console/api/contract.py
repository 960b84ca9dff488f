"""A client that holds every answer against the OpenAPI document."""

import json
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from rest_framework.test import APIClient

from ops_console.api.views.reference import document

UNDOCUMENTED = {405}  # of every address alike


class ContractClient(APIClient):
    """Fails the test when an answer is not what the document promises."""

    def request(self, **kwargs: Any) -> Any:
        """Send, then compare."""
        answer = super().request(**kwargs)
        check(str(kwargs["REQUEST_METHOD"]).lower(), str(kwargs["PATH_INFO"]), answer)
        return answer


def check(method: str, address: str, answer: Any) -> None:
    """Compare status, media type and body with the document."""
    operation = find_operation(method, address)
    if operation is None or answer.status_code in UNDOCUMENTED:
        return
    promised = operation["responses"].get(str(answer.status_code))
    assert promised is not None, f"{method} {address}: status {answer.status_code} is not documented: {answer.content}"
    media_type = answer.headers["Content-Type"]
    assert media_type in promised["content"], f"{method} {address}: {media_type} is not documented"
    body = json.loads(answer.content, parse_float=refuse_float)
    validator(json.dumps(promised["content"][media_type]["schema"])).validate(body)


def refuse_float(text: str) -> Decimal:
    """No number with a point leaves the API: money is text."""
    raise AssertionError(f"{text} left as a JSON number with a point")


@lru_cache(maxsize=200)
def validator(schema: str) -> Draft202012Validator:
    """Return the validator of one schema, with all components in reach."""
    return Draft202012Validator({**json.loads(schema), "components": document()["components"]})


def find_operation(method: str, address: str) -> dict[str, Any] | None:
    """Return the documented operation of an address; fixed addresses win over those with a placeholder."""
    paths = sorted(document()["paths"].items(), key=lambda item: item[0].count("{"))
    for template, operations in paths:
        if method in operations and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), address):
            found: dict[str, Any] = operations[method]
            return found
    return None
