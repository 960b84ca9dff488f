"""The OpenAPI document and the page that is rendered from it."""

import re

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from jsonschema import ValidationError  # type: ignore[import-untyped]

from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import DENIAL_CODES
from ops_console.api.views.reference import document
from risk.types import DenialCode
from tests.ops_console.api.contract import check


def test_the_document_has_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True)
    assert "openapi: 3.1.0" in capsys.readouterr().out


def test_codes_are_documented_from_their_enums() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["ProblemCode"]["enum"] == list(ProblemCode.values)
    assert schemas["DenialCode"]["enum"] == [code.value for code in DenialCode] == [value for value, _ in DENIAL_CODES]


def test_every_operation_describes_itself_its_answer_and_its_problems() -> None:
    for address, methods in document()["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {address}"
            assert operation["summary"], where
            assert {"401", "403", "429", "500", "503"} <= set(operation["responses"]), where
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, where
            assert all("application/json" in operation["responses"][status]["content"] for status in good), where
            if method not in ("get", "delete"):
                body = operation["requestBody"]["content"]["application/json"]["schema"]
                assert body["additionalProperties"] is False, where
                assert set(body.get("example", {})) <= set(body["properties"]), where
                assert {"400", "413", "415"} <= set(operation["responses"]), where


def test_the_document_is_json_for_anybody(client: Client) -> None:
    answer = client.get("/api/v1/schema/")
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json"
    assert answer.json()["openapi"] == "3.1.0"


def test_the_page_holds_the_strictest_policy(client: Client) -> None:
    answer = client.get("/api/v1/docs/")
    page = answer.content.decode()
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://(?!127)", page)
    for code in ProblemCode:
        assert f'id="problem-{code.value}"' in page
    for methods in document()["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page


def test_every_link_of_the_page_leads_somewhere(client: Client) -> None:
    page = client.get("/api/v1/docs/").content.decode()
    anchors = set(re.findall(r'id="([^"]+)"', page))
    for target in re.findall(r'href="#([^"]+)"', page):
        assert target in anchors


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"results": [], "next_cursor": 1}', "is not of type"),
        (200, b'{"results": [{}], "next_cursor": null}', "is a required property"),
        (200, b'{"results": [], "next_cursor": null, "x": 1.5}', "left as a JSON number"),
        (299, b"{}", "is not documented"),
    ],
)
def test_the_contract_notices_an_answer_that_breaks_it(status: int, body: bytes, said: str) -> None:
    answer = HttpResponse(body, status=status, content_type="application/json")
    with pytest.raises((AssertionError, ValidationError), match=said):
        check("get", "/api/v1/orders", answer)
