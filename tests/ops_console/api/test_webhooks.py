"""Pushed order events: only with our secret, only now, only once, and into the same inbox as everything else."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings

from execution.brokers.alpaca.events import read_frame
from execution.models import Account, BrokerMessage
from execution.services.inbox import fill_key, reports_since
from execution.services.updates import take_updates
from marketdata.clock import wall_now
from ops_console.api.throttling import limiter
from ops_console.models import SeenSignature
from ops_console.services.signatures import WINDOW, SignatureRefused, sign, verify
from tests.factories import make_account, make_order
from tests.ops_console.api.contract import ContractClient

SECRET = "a secret that only the sender and we know"
ADDRESS = "/api/v1/webhooks/orders"


@pytest.fixture
def account(db: None, settings: Settings) -> Account:
    settings.TRADING_MODE, settings.WEBHOOK_SECRET = "alpaca_paper", SECRET
    return make_account(name="alpaca_paper", mode=Account.Mode.ALPACA_PAPER)


def frame(client_order_id: str = "one", filled: str = "4", **more: Any) -> bytes:
    order = {"id": "B-1", "client_order_id": client_order_id, "status": "partially_filled", "filled_qty": filled}
    data = {
        "event": "partial_fill",
        "execution_id": f"E-{filled}",
        "timestamp": "2012-06-14T15:00:01Z",
        "price": "100.10",
        "qty": "4",
        "order": {**order, "qty": "10", "symbol": "AAPL"},
    }
    return json.dumps({"stream": "trade_updates", "data": data | more}).encode()


def push(body: bytes, header: str | None = None) -> Any:
    signed = sign(secret=SECRET, body=body, at=wall_now()) if header is None else header
    client = ContractClient(raise_request_exception=False)
    return client.generic("POST", ADDRESS, body, content_type="application/json", HTTP_X_SIGNATURE=signed)


def test_ex7_pushed_fill_is_in_the_inbox_once_whoever_tells_it(account: Account) -> None:
    assert push(frame()).json() == {"new": 1, "known": 0, "unreadable": 0}
    row = BrokerMessage.objects.get()
    assert (row.source, row.key, row.kind) == ("webhook", fill_key("B-1", row.cumulative_quantity or 0), "fill")
    update = read_frame(frame(), received_at=wall_now())
    assert update is not None
    take_updates(account_id=account.pk, updates=[update], wall_now=wall_now())
    assert push(frame() + b" ").json() == {"new": 0, "known": 1, "unreadable": 0}
    assert BrokerMessage.objects.count() == 1
    assert [report.kind for report in reports_since(account.pk, 0, 10)] == ["fill"]


def test_ex7_the_very_same_request_is_refused_the_second_time(account: Account) -> None:
    header = sign(secret=SECRET, body=frame(), at=wall_now())
    assert push(frame(), header).status_code == 200
    again = push(frame(), header)
    assert (again.status_code, again.json()["code"]) == (409, "SIGNATURE_USED")
    assert BrokerMessage.objects.count() == 1


def test_request_whose_effect_failed_may_come_again(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    header = sign(secret=SECRET, body=frame(), at=wall_now())

    def fail(**_: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as broken:
        broken.setattr("ops_console.api.views.webhooks.take_webhook", fail)
        assert push(frame(), header).status_code == 500
    assert push(frame(), header).status_code == 200


def test_report_of_an_event_that_nobody_understands_is_kept(account: Account) -> None:
    assert push(b'{"stream": "trade_updates", "data": {"event": "x"}}').json()["unreadable"] == 1
    assert push(b"\xff not json").json()["unreadable"] == 1
    assert BrokerMessage.objects.filter(kind="").count() == 2


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1,v1=",
        "v1=" + "0" * 64,
        "t=99999999999999,v1=" + "0" * 64,
        "t=1,v1=" + "0" * 64,
        "t=1,v0=" + "0" * 64,
        "t=١,v1=" + "0" * 64,
    ],
)
def test_s13_unsigned_or_forged_is_refused_and_stores_nothing(account: Account, header: str) -> None:
    answer = push(frame(), header.encode("utf-8").decode("latin-1"))
    assert (answer.status_code, answer.json()["code"]) == (403, "INVALID_SIGNATURE")
    assert not BrokerMessage.objects.exists()
    assert not SeenSignature.objects.exists()


def test_another_body_under_a_good_signature_is_refused(account: Account) -> None:
    header = sign(secret=SECRET, body=frame(), at=wall_now())
    assert push(frame(filled="5"), header).status_code == 403


@pytest.mark.parametrize(("age", "status"), [(timedelta(), 200), (WINDOW - timedelta(seconds=5), 200)])
@pytest.mark.parametrize("sign_of_age", [1, -1])
def test_ex7_a_signature_is_good_for_five_minutes(
    account: Account, age: timedelta, status: int, sign_of_age: int
) -> None:
    assert push(frame(), sign(secret=SECRET, body=frame(), at=wall_now() - age * sign_of_age)).status_code == status
    late = (WINDOW + timedelta(seconds=2)) * sign_of_age
    assert push(frame(), sign(secret=SECRET, body=frame(), at=wall_now() - late)).status_code == 403


def test_one_of_two_signatures_is_enough_while_a_secret_changes(account: Account) -> None:
    good = sign(secret=SECRET, body=frame(), at=wall_now())
    moment, _, digest = good.partition(",v1=")
    assert push(frame(), f"{moment},v1={'0' * 64},v1={digest}").status_code == 200


def test_without_a_secret_nothing_is_accepted(account: Account, settings: Settings) -> None:
    settings.WEBHOOK_SECRET = ""
    answer = push(frame(), sign(secret="", body=frame(), at=wall_now()))
    assert (answer.status_code, answer.json()["code"]) == (503, "NOT_READY")


def test_a_broker_in_this_house_pushes_nothing(db: None, settings: Settings) -> None:
    settings.WEBHOOK_SECRET = SECRET
    make_account(name="paper")
    answer = push(frame())
    assert (answer.status_code, answer.json()["code"]) == (409, "NOTHING_PUSHED")
    assert not SeenSignature.objects.exists()


def test_who_forges_again_and_again_waits(account: Account, settings: Settings) -> None:
    settings.API_RATES = {"failed_keys": 3}
    assert [push(frame(), "").status_code for _ in range(4)] == [403, 403, 403, 429]
    limiter.forget()
    assert push(frame()).status_code == 200


def test_notes_of_old_signatures_go(account: Account) -> None:
    SeenSignature.objects.create(digest="0" * 64, at=wall_now() - 2 * WINDOW - timedelta(seconds=1))
    push(frame())
    assert SeenSignature.objects.count() == 1


@given(st.binary(max_size=200), st.integers(0, 63), st.sampled_from("0123456789abcdef"))
@examples(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_s13_no_changed_signature_or_body_passes(body: bytes, place: int, digit: str) -> None:
    now = wall_now()
    header = sign(secret=SECRET, body=body, at=now)
    assert verify(header=header, secret=SECRET, body=body, wall_now=now) == header[-64:]
    start = len(header) - 64 + place
    changed = header[:start] + digit + header[start + 1 :]
    for wrong, other in ((changed, body), (header, body + b"\0")):
        if (wrong, other) != (header, body):
            with pytest.raises(SignatureRefused):
                verify(header=wrong, secret=SECRET, body=other, wall_now=now)


@pytest.fixture(autouse=True)
def no_counts() -> Iterator[None]:
    limiter.forget()
    yield
    limiter.forget()


def test_order_is_booked_from_a_pushed_fill(account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    order = make_order(account)
    push(frame(client_order_id=order.client_order_id))
    assert reports_since(account.pk, 0, 10)[0].client_order_id == order.client_order_id
