"""Logging in and out."""

import pytest
from django.core.cache import cache
from django.test import Client

from tests.ops_console.conftest import PASSWORD, Visitor, make_person

NAME_TRIES, ADDRESS_TRIES = 8, 20


@pytest.fixture(autouse=True)
def fresh_counters() -> None:
    """Forget earlier tries."""
    cache.clear()


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
