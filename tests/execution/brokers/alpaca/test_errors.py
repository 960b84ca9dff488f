"""What an answer, a strange answer or none means: refused, never sent, or open; and nothing is ever sent twice."""

import socket
from collections.abc import Callable
from decimal import Decimal

import pytest

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.base import (
    BrokerError,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    BrokerUnreachable,
    DuplicateClientOrderId,
    OrderNotCancelable,
    OrderNotFound,
    OrderNotReplaceable,
    ReplaceRequest,
)
from tests.execution.brokers.alpaca.stub import ACCOUNT, ORDER_ID, Answer, Stub, broker_at, error, order
from tests.execution.brokers.contract import AT, make_request

D = Decimal(10)
HTML = "<html>Bad gateway</html>"
TERMS = ReplaceRequest(
    client_order_id="two",
    original_client_order_id="one",
    original_broker_order_id=ORDER_ID,
    quantity=D,
    time_in_force="day",
)
Write = Callable[[AlpacaBroker], object]


def submit(broker: AlpacaBroker) -> object:
    return broker.submit(make_request(), at=AT)


def replace(broker: AlpacaBroker) -> object:
    return broker.replace(TERMS, at=AT)


def cancel(broker: AlpacaBroker) -> None:
    broker.cancel(client_order_id="one", broker_order_id=ORDER_ID, at=AT)


def outcome(call: Callable[[], object]) -> BrokerError:
    with pytest.raises(BrokerError) as raised:
        call()
    assert raised.value.code
    assert raised.value.reason
    assert "\n" not in raised.value.reason
    return raised.value


OPEN_QUESTIONS = {
    "500": Answer(500, {"code": 50010000, "message": "internal"}),
    "503": Answer(503, {"message": "unavailable"}),
    "504": Answer(504, {"message": "timeout"}),
    "500 of a proxy": Answer(502, HTML),
    "a page with 200": Answer(200, HTML),
    "an empty 200": Answer(200, ""),
    "204": Answer(204, ""),
    "a list": Answer(200, []),
    "another order": Answer(200, order("another")),
    "an order without id": Answer(200, order("two", id=None)),
    "null": Answer(200, None),
    "not quite JSON": Answer(200, '{"id": "x", '),
    "deep JSON": Answer(200, "[" * 100_000),
    "redirect with a page": Answer(302, HTML, {"Location": "http://127.0.0.1:1/"}),
    "empty redirect": Answer(307, "", {"Location": "http://127.0.0.1:1/"}),
    "cut before an answer": Answer(then="drop"),
    "half an answer": Answer(200, order("one"), then="torn"),
    "no answer in time": Answer(then="silence"),
    "403 of a proxy": Answer(403, HTML),
    "401 of a proxy": Answer(401, HTML),
    "404 of a proxy": Answer(404, {"message": "no route"}),
    "422 of a proxy": Answer(422, "unprocessable"),
    "408": error(408, 40810000, "request timeout"),
}


@pytest.mark.parametrize("write", [submit, replace])
@pytest.mark.parametrize("answer", OPEN_QUESTIONS.values(), ids=OPEN_QUESTIONS.keys())
def test_a_write_that_may_have_taken_effect_is_an_open_question_and_is_sent_once(
    broker: AlpacaBroker, stub: Stub, write: Write, answer: Answer
) -> None:
    stub.says(answer)
    assert type(outcome(lambda: write(broker))) is BrokerOutcomeUnknown
    assert len(stub.requests) == 1
    assert broker.pause_seconds > 0


@pytest.mark.parametrize("answer", OPEN_QUESTIONS.values(), ids=OPEN_QUESTIONS.keys())
def test_a_read_or_cancel_without_a_good_answer_is_asked_again_later(
    broker: AlpacaBroker, stub: Stub, answer: Answer
) -> None:
    stub.says(answer)
    for read in (lambda: broker.find("one"), broker.account, broker.positions, broker.open_orders, broker.clock):
        if read in (broker.positions, broker.open_orders) and answer.body == []:
            continue
        assert isinstance(outcome(read), BrokerUnavailable)
    if answer.status >= 300 or answer.then or answer.body == HTML:
        assert isinstance(outcome(lambda: cancel(broker)), BrokerUnavailable)


@pytest.mark.parametrize("write", [submit, replace])
def test_nothing_was_sent_when_nobody_listens(write: Write) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with broker_at(f"http://127.0.0.1:{port}") as broker:
        failure = outcome(lambda: write(broker))
        assert (type(failure), failure.code) == (BrokerUnreachable, "unreachable")
        assert failure.reason == f"the broker cannot be reached at http://127.0.0.1:{port}: Connection refused"
        assert broker.pause_seconds > 0


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "https://no-such-host.invalid"])
def test_nothing_was_sent_when_the_name_is_unknown(url: str) -> None:
    with broker_at(url) as broker:
        assert outcome(lambda: submit(broker)).code == "unreachable"


def test_nothing_was_sent_when_the_proxy_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with broker_at("http://broker.invalid") as broker:
        assert outcome(lambda: submit(broker)).code == "unreachable"


def test_nothing_was_sent_when_tls_fails(served: tuple[Stub, str]) -> None:
    with broker_at(served[1].replace("http:", "https:")) as broker:
        failure = outcome(lambda: submit(broker))
        assert (type(failure), failure.code) == (BrokerUnreachable, "unreachable")
    assert served[0].requests == []


def test_nothing_was_sent_when_the_connection_is_not_taken_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        filling = [socket.socket() for _ in range(3)]
        try:
            for waiting in filling:
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            with broker_at(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect_milliseconds=150) as broker:
                assert outcome(lambda: submit(broker)).code == "unreachable"
        finally:
            for waiting in filling:
                waiting.close()


@pytest.mark.parametrize("write", [submit, replace])
def test_429_sent_nothing_and_new_orders_wait_until_the_window_ends(
    broker: AlpacaBroker, stub: Stub, write: Write
) -> None:
    stub.says(Answer(429, {"message": "rate limit exceeded"}, {"Retry-After": "17"}))
    failure = outcome(lambda: write(broker))
    assert (type(failure), failure.code) == (BrokerUnreachable, "rate_limited")
    assert len(stub.requests) == 1
    assert 16 < broker.pause_seconds <= 17
    assert outcome(lambda: submit(broker)).code == "rate_budget"
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, 40310000, "insufficient buying power"),
        (403, 40310000, "new orders are rejected by user request"),
        (422, 42210000, "invalid limit_price 1.001. sub-penny increment does not fulfill minimum pricing criteria"),
        (400, 40010000, "bad request"),
        (404, 40410000, "asset not found"),
    ],
)
def test_a_refusal_of_the_api_is_final_with_its_code_and_words(
    broker: AlpacaBroker, stub: Stub, status: int, code: int, message: str
) -> None:
    stub.says(error(status, code, message, symbol="AAPL", available="0"))
    failure = outcome(lambda: submit(broker))
    assert (type(failure), failure.code, failure.reason) == (BrokerRejected, str(code), message)
    assert broker.pause_seconds == 0


@pytest.mark.parametrize("write", [submit, replace])
def test_an_id_that_was_used_before_is_told_apart(broker: AlpacaBroker, stub: Stub, write: Write) -> None:
    stub.says(error(422, 40010001, "client_order_id must be unique"))
    assert type(outcome(lambda: write(broker))) is DuplicateClientOrderId


@pytest.mark.parametrize(("second", "code"), [(401, "keys_refused"), (200, "unauthorized_once")])
def test_refused_keys_are_asked_about_twice(broker: AlpacaBroker, stub: Stub, second: int, code: str) -> None:
    refused = error(401, 40110000, "access key verification failed : access key not found")
    stub.says(refused, refused if second == 401 else Answer(200, ACCOUNT))
    failure = outcome(lambda: submit(broker))
    assert isinstance(failure, BrokerUnavailable)
    assert failure.code == code
    assert [method for method, _, _ in stub.requests] == ["POST", "GET"]


def test_refused_keys_are_not_an_empty_account(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(401, 40110000, "access key not found"))
    for read in (broker.positions, broker.open_orders, broker.account, lambda: broker.find("one")):
        assert outcome(read).code == "keys_refused"


def test_only_the_apis_own_404_says_that_there_is_no_order(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(404, 40410000, "order not found for one"))
    assert broker.find("one") is None
    for answer in (Answer(404, HTML), Answer(404, {"message": "Not Found"}), Answer(404, ""), Answer(200, "")):
        stub.says(answer)
        assert isinstance(outcome(lambda: broker.find("one")), BrokerUnavailable)


def test_an_answer_about_another_order_is_not_the_one_asked_for(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, order("another")))
    assert isinstance(outcome(lambda: broker.find("one")), BrokerUnavailable)


def test_a_cancel_that_is_taken_is_only_a_request(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(204, ""))
    cancel(broker)
    assert stub.requests == [("DELETE", f"/v2/orders/{ORDER_ID}", None)]


def test_a_cancel_of_an_order_that_is_not_there_says_so(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(404, 40410000, "order not found"))
    assert isinstance(outcome(lambda: cancel(broker)), OrderNotFound)


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "rejected", "replaced"])
def test_a_refused_cancel_of_a_finished_order_says_how_it_ended(broker: AlpacaBroker, stub: Stub, status: str) -> None:
    stub.says(error(422, 42210000, "order is not cancelable"), Answer(200, order(status=status)))
    failure = outcome(lambda: cancel(broker))
    assert isinstance(failure, OrderNotCancelable)
    assert status in failure.reason


def test_a_cancel_under_way_is_fine(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(422, 42210000, "order pending cancel"), Answer(200, order(status="pending_cancel")))
    cancel(broker)


@pytest.mark.parametrize(("status", "code"), [("pending_replace", "pending_replace"), ("new", "cancel_refused")])
def test_a_cancel_that_comes_too_early_is_sent_again(broker: AlpacaBroker, stub: Stub, status: str, code: str) -> None:
    stub.says(error(422, 42210000, "order is not cancelable"), Answer(200, order(status=status)))
    failure = outcome(lambda: cancel(broker))
    assert isinstance(failure, BrokerUnavailable)
    assert failure.code == code


def test_a_forbidden_cancel_is_sent_again_later(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(403, 40310000, "forbidden"))
    assert type(outcome(lambda: cancel(broker))) is BrokerUnavailable


def test_an_order_whose_id_was_never_learnt_is_asked_for_before_its_cancel(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, order()), Answer(204, ""))
    broker.cancel(client_order_id="one", broker_order_id="", at=AT)
    assert [(method, path) for method, path, _ in stub.requests] == [
        ("GET", "/v2/orders:by_client_order_id?client_order_id=one"),
        ("DELETE", f"/v2/orders/{ORDER_ID}"),
    ]


@pytest.mark.parametrize("status", ["filled", "canceled", "replaced", "pending_cancel", "pending_replace", "held"])
def test_an_order_that_takes_no_new_terms_says_so(broker: AlpacaBroker, stub: Stub, status: str) -> None:
    stub.says(error(422, 42210000, "order is not open"), Answer(200, order(status=status)))
    failure = outcome(lambda: replace(broker))
    assert isinstance(failure, OrderNotReplaceable)
    assert status in failure.reason


def test_terms_that_are_refused_are_a_plain_refusal(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(422, 42210000, "limit_price is required"), Answer(200, order(status="new")))
    failure = outcome(lambda: replace(broker))
    assert (type(failure), failure.code) == (BrokerRejected, "42210000")


def test_an_original_that_is_not_there_says_so(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(404, 40410000, "order not found"))
    assert isinstance(outcome(lambda: replace(broker)), OrderNotFound)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(then="drop"), "Remote end closed connection without response"),
        (Answer(then="silence"), "timed out"),
        (Answer(200, HTML), "it is no JSON"),
        (Answer(302, HTML), "redirected with 302"),
        (Answer(200, "[" * 100_000), "recursion"),
    ],
)
def test_what_went_wrong_is_said_in_a_few_words(broker: AlpacaBroker, stub: Stub, answer: Answer, words: str) -> None:
    stub.says(answer)
    reason = outcome(lambda: submit(broker)).reason
    assert reason.startswith("no answer of the broker that can be read: ")
    assert words in reason
    assert len(reason) < 160


def test_a_position_that_cannot_be_read_makes_the_answer_none(broker: AlpacaBroker, stub: Stub) -> None:
    for strange in ({"symbol": "AAPL", "qty": None}, {"qty": "5"}, "AAPL", {"symbol": "AAPL", "qty": "NaN"}):
        stub.says(Answer(200, [{"symbol": "MSFT", "qty": "1", "avg_entry_price": "5"}, strange]))
        assert isinstance(outcome(broker.positions), BrokerUnavailable)


def test_a_missing_account_is_no_answer(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(error(404, 40410000, "account not found"))
    assert isinstance(outcome(broker.account), BrokerUnavailable)
    assert isinstance(outcome(broker.clock), BrokerUnavailable)


def test_nothing_at_all_left_is_said_without_asking(broker: AlpacaBroker, stub: Stub) -> None:
    broker.line.budget.heard(429, {"Retry-After": "60"})
    assert outcome(broker.account).code == "rate_budget"
    assert outcome(lambda: submit(broker)).code == "rate_budget"
    assert stub.requests == []
    stub.says(Answer(204, ""))
    cancel(broker)
    assert [method for method, _, _ in stub.requests] == ["DELETE"]


def test_a_settings_change_that_may_have_taken_effect_is_asked_again(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, {"suspend_trade": False}), Answer(500, HTML))
    assert isinstance(outcome(lambda: broker.suspend(True)), BrokerUnavailable)
    stub.says(Answer(200, {"suspend_trade": "yes"}))
    assert isinstance(outcome(lambda: broker.suspend(True)), BrokerUnavailable)
