"""Logging in and out."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection
from django.test import Client
from pytest_django.fixtures import Settings

from marketdata.clock import wall_now
from ops_console.models import LoginTries
from ops_console.services.roles import ensure_roles
from tests.ops_console.conftest import PASSWORD, Visitor, make_person

NAME_TRIES, ADDRESS_TRIES = 8, 20
TOGETHER = 30


def tries(client: Client, name: str, password: str = "wrong", address: str = "10.0.0.1") -> int:
    return client.post("/login", {"username": name, "password": password}, REMOTE_ADDR=address).status_code


def test_the_right_password_leads_where_one_wanted_to_go(visitor: Visitor) -> None:
    make_person("viewer")
    response = Client().post("/login", {"username": "viewer", "password": PASSWORD, "next": "/risk/"})
    assert response.status_code == 302
    assert response.headers["Location"] == "/risk/"


def test_next_never_leads_to_another_site(visitor: Visitor) -> None:
    make_person("viewer")
    response = Client().post("/login", {"username": "viewer", "password": PASSWORD, "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_a_wrong_password_is_told_without_saying_what_is_wrong(visitor: Visitor) -> None:
    make_person("viewer")
    known = Client().post("/login", {"username": "viewer", "password": "wrong"}).content.decode()
    unknown = Client().post("/login", {"username": "no-one", "password": "wrong"}).content.decode()
    assert "do not match" in known
    assert "do not match" in unknown


def test_one_name_is_tried_a_bounded_number_of_times_from_anywhere(visitor: Visitor) -> None:
    make_person("viewer")
    client = Client()
    for number in range(NAME_TRIES):
        assert tries(client, "viewer", address=f"10.0.0.{number}") == 200
    response = client.post("/login", {"username": "viewer", "password": PASSWORD}, REMOTE_ADDR="10.9.9.9")
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert "Too many tries. Wait" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_one_address_tries_a_bounded_number_of_names(visitor: Visitor) -> None:
    client = Client()
    answers = [tries(client, f"name-{number}") for number in range(ADDRESS_TRIES + 1)]
    assert answers == [200] * ADDRESS_TRIES + [429]


def test_logging_out_ends_the_session_and_is_a_post(visitor: Visitor) -> None:
    client = visitor("viewer")
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 302
    assert client.get("/").status_code == 302


def test_somebody_logged_in_is_not_asked_again(visitor: Visitor) -> None:
    assert visitor("viewer").get("/login").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_parallel_tries_are_counted_one_by_one() -> None:
    ensure_roles()
    make_person("viewer")
    barrier = Barrier(TOGETHER)

    def one(number: int) -> int:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return tries(Client(), "viewer", address=f"10.0.{number}.1")
        finally:
            connection.close()

    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = Counter(pool.map(one, range(TOGETHER)))
    assert answers == {200: NAME_TRIES, 429: TOGETHER - NAME_TRIES}


def test_counts_outlive_the_process_and_need_no_redis(visitor: Visitor, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    for number in range(NAME_TRIES):
        tries(Client(), "viewer", address=f"10.0.0.{number}")
    caches["default"].clear()
    assert tries(Client(), "viewer", address="10.9.9.9") == 429


def test_counts_that_are_over_are_forgotten(visitor: Visitor) -> None:
    LoginTries.objects.create(key="old", count=99, ends_at=wall_now() - timedelta(seconds=1))
    tries(Client(), "viewer")
    assert not LoginTries.objects.filter(key="old").exists()


def test_without_the_database_nobody_is_let_in_and_the_answer_says_when_to_try_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_person("viewer")

    def away(*_: object, **__: object) -> bool:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr("ops_console.tries.CountedTries.add", away)
    client = Client(raise_request_exception=False)
    response = client.post("/login", {"username": "viewer", "password": PASSWORD})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "The database does not answer" in response.content.decode()
    assert "_auth_user_id" not in client.session
