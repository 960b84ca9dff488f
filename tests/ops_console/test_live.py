"""The live connection: a snapshot, numbered deltas, and everything within a second, with Redis or without."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django.fixtures import Settings
from redis import Redis

from execution.models import Account
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from marketdata.clock import wall_now
from ops_console import hub as hub_module
from ops_console.hub import QUEUE_LENGTH, Hub, Subscriber, hub
from ops_console.news import PRICES_CHANNEL
from ops_console.routing import websocket_application
from ops_console.snapshot import read_board
from ops_console.watch import read_watch
from tests.factories import MARKET_AT, make_account, make_intent, make_quote
from tests.ops_console.conftest import PASSWORD, make_person

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = 1.0
DEAD_REDIS = "redis://127.0.0.1:1/0"


def take_redis_away(settings: Settings) -> None:
    """Point everything that speaks to Redis, the channel layer too, at a port where nobody answers."""
    settings.REDIS_URL = DEAD_REDIS
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": [{"address": DEAD_REDIS}]}}}


REASON = "seen on two screens"
ORIGIN = (b"origin", b"http://testserver")


@pytest.fixture
def desk() -> Account:
    """Return the desk's account."""
    return make_account(name="paper")


@pytest.fixture
def browser(desk: Account) -> Client:
    """Return a browser logged in as a viewer."""
    from ops_console.services.roles import ensure_roles

    ensure_roles()
    client = Client()
    client.force_login(make_person("viewer"))
    return client


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous test; its database calls run in this thread."""
    async_to_sync(test)()


def socket_of(client: Client | None, origin: tuple[bytes, bytes] = ORIGIN) -> WebsocketCommunicator:
    """Return a socket with the browser's cookie."""
    headers = [origin, (b"host", b"testserver")]
    if client is not None:
        headers.append((b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()))
    return WebsocketCommunicator(websocket_application, "/ws/console/", headers=headers)


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[WebsocketCommunicator]:
    """Open a socket and close it again, whatever happens."""
    socket = socket_of(client)
    accepted, _ = await socket.connect(timeout=5)
    assert accepted
    try:
        yield socket
    finally:
        await socket.disconnect()


async def message_of(socket: WebsocketCommunicator, within: float = 5) -> dict[str, Any]:
    """Return the next message."""
    message: dict[str, Any] = json.loads(await socket.receive_from(timeout=within))
    return message


async def until(socket: WebsocketCommunicator, found: Callable[[dict[str, Any]], bool], within: float) -> float:
    """Read until a message fits; returns the seconds it took."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(within):
        while not found(await message_of(socket, within)):
            pass
    return asyncio.get_running_loop().time() - started


def says_stopped(message: dict[str, Any]) -> bool:
    """Tell whether the message carries the engaged switch."""
    cell = message["data"].get("cells", {}).get("kill.state", ("", ""))
    return bool(cell[1] == "on")


def stop() -> None:
    """Engage the switch as another process would."""
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="api", wall_now=wall_now())


def test_first_comes_a_snapshot_then_deltas_without_a_gap(browser: Client, desk: Account) -> None:
    async def test() -> None:
        async with opened(browser) as socket:
            first = await message_of(socket)
            assert first["type"] == "snapshot"
            assert first["data"]["header"]["cells"]["kill.state"] == ["Kill switch off", "off", None]
            assert first["data"]["prices"]["order"] == ["AAPL"]
            numbers = [(await message_of(socket))["seq"] for _ in range(3)]
            assert numbers == [first["seq"] + 1, first["seq"] + 2, first["seq"] + 3]

    in_loop(test)


def test_the_snapshot_is_what_a_page_that_is_loaded_now_shows(browser: Client, desk: Account) -> None:
    async def test() -> None:
        async with opened(browser) as socket:
            sent = (await message_of(socket))["data"]
        loaded = await sync_to_async(read_board)(wall_now())
        assert set(sent) == set(loaded)
        for name in ("positions", "working", "orders", "fills", "runs", "strategies", "problems"):
            assert sent[name] == json.loads(json.dumps(loaded[name].whole()))

    in_loop(test)


@pytest.mark.parametrize("redis", ["there", "away"])
def test_an_engaged_switch_shows_within_a_second(browser: Client, settings: Settings, redis: str) -> None:
    if redis == "away":
        take_redis_away(settings)

    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            await sync_to_async(stop)()
            assert await until(socket, says_stopped, within=5) < SECOND

    in_loop(test)


def test_redis_tells_before_the_next_look(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_SECONDS", 30.0)

    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            await asyncio.sleep(0.3)  # the subscription has no answer that could be awaited from here
            await sync_to_async(stop)()
            assert await until(socket, says_stopped, within=5) < SECOND

    in_loop(test)


def test_a_new_order_shows_in_both_tables(browser: Client, desk: Account) -> None:
    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            await sync_to_async(submit_order)(intent=make_intent(), account=desk, wall_now=wall_now())
            seen: set[str] = set()

            def found(message: dict[str, Any]) -> bool:
                if message["data"].get("order"):
                    seen.add(message["type"])
                return {"working", "orders"} <= seen

            assert await until(socket, found, within=5) < SECOND

    in_loop(test)


def test_prices_of_the_channel_arrive_and_older_numbers_do_not_come_again(
    browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "LOOK_SECONDS", 30.0)
    quote = {"symbol": "AAPL", "last": "101.50", "bid": "101.49", "ask": "101.51", "at": MARKET_AT.isoformat()}

    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            await asyncio.sleep(0.3)
            feed = (await Account.objects.select_related("feed").aget()).feed.name
            batch = {"type": "prices", "feed": feed, "quotes": [quote, {**quote, "symbol": "NEVER"}]}
            await sync_to_async(publish)(settings.REDIS_URL, batch)
            message = await message_of(socket)
            while message["type"] == "header":  # the way to Redis may be found only now
                message = await message_of(socket)
            assert message["type"] == "prices"
            assert message["data"]["cells"]["price.AAPL.last"] == ["101.50", "", None]
            assert not any(key.startswith("price.NEVER") for key in message["data"]["cells"])
            assert hub().board["prices"].cells["price.AAPL.bid"].text == "101.49"

    in_loop(test)


def publish(url: str, batch: dict[str, Any]) -> None:
    """Publish as the stream process does; nonsense before it must not hurt."""
    with Redis.from_url(url) as client:
        client.publish(PRICES_CHANNEL, "no json")
        client.publish(PRICES_CHANNEL, json.dumps([]))
        client.publish(PRICES_CHANNEL, json.dumps(batch))


def test_without_redis_prices_come_from_the_database(browser: Client, desk: Account, settings: Settings) -> None:
    take_redis_away(settings)

    async def test() -> None:
        async with opened(browser) as socket:
            first = await message_of(socket)
            assert first["data"]["header"]["cells"]["light.redis"][1] == "bad"
            assert "Live prices are off" in first["data"]["problems"]["html"]
            await sync_to_async(make_quote)(desk.feed, last="102")
            await until(
                socket,
                lambda message: message["data"].get("cells", {}).get("price.AAPL.last", [""])[0] == "102.00",
                within=2,
            )

    in_loop(test)


def test_a_page_that_missed_something_gets_a_new_snapshot(browser: Client) -> None:
    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            await socket.send_to(text_data='{"type": "resync"}')
            await until(socket, lambda message: message["type"] == "snapshot", within=2)

    in_loop(test)


@pytest.mark.parametrize("text", ['{"type": "engage"}', "no json", "[]", '{"type": "resync"'])
def test_a_socket_takes_no_commands(browser: Client, text: str) -> None:
    async def test() -> None:
        socket = socket_of(browser)
        await socket.connect(timeout=5)
        await socket.send_to(text_data=text)
        assert await closing_code(socket) == 4400

    in_loop(test)


async def closing_code(socket: WebsocketCommunicator) -> int:
    """Return the code that the server closes with."""
    while True:
        event = await socket.receive_output(timeout=5)
        if event["type"] == "websocket.close":
            return int(event["code"])


def test_nobody_logged_in_is_told_so(desk: Account) -> None:
    async def test() -> None:
        socket = socket_of(None)
        await socket.connect(timeout=5)
        assert await closing_code(socket) == 4401

    in_loop(test)


def test_somebody_without_a_role_is_told_so(desk: Account) -> None:
    client = Client()
    client.force_login(make_person("nobody"))

    async def test() -> None:
        socket = socket_of(client)
        await socket.connect(timeout=5)
        assert await closing_code(socket) == 4403

    in_loop(test)


def test_another_sites_page_may_not_connect(browser: Client) -> None:
    async def test() -> None:
        accepted, _ = await socket_of(browser, (b"origin", b"https://evil.example")).connect(timeout=5)
        assert not accepted

    in_loop(test)


def switch_off(browser: Client) -> None:
    """Switch the user off."""
    User.objects.update(is_active=False)


def take_role(browser: Client) -> None:
    """Take the user's role away."""
    User.objects.get().groups.clear()


def change_password(browser: Client) -> None:
    """Give the user another password."""
    user = User.objects.get()
    user.set_password(PASSWORD + "2")
    user.save()


def end_session(browser: Client) -> None:
    """End every session."""
    Session.objects.all().delete()


@pytest.mark.parametrize("act", [switch_off, take_role, change_password, end_session])
def test_who_may_not_look_any_more_is_cut_off(browser: Client, act: Callable[[Client], None]) -> None:
    async def test() -> None:
        socket = socket_of(browser)
        await socket.connect(timeout=5)
        await sync_to_async(act)(browser)
        async with asyncio.timeout(2):
            assert await closing_code(socket) == 4401

    in_loop(test)


def test_the_hub_rests_when_nobody_looks(browser: Client) -> None:
    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            assert len(asyncio.all_tasks()) > 1
        await asyncio.sleep(0)
        assert not hub()._tasks
        assert not hub().subscribers

    in_loop(test)


def test_a_slow_page_gets_a_snapshot_in_place_of_what_it_missed() -> None:
    async def test() -> None:
        one = Hub()
        slow, quick = Subscriber(1, "s", "p"), Subscriber(2, "s", "p")
        one.subscribers = {slow, quick}
        for number in range(QUEUE_LENGTH + 1):
            one._send("header", {"number": number})
            await quick.queue.get()
        assert slow.queue.qsize() == 1
        kept = json.loads(await slow.queue.get() or "")
        assert kept["type"] == "snapshot"
        assert kept["seq"] == one.sequence

    in_loop(test)


def test_a_failed_look_does_not_end_the_hub(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = read_board, list[int]()

    def failing(*args: Any, **kwargs: Any) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise RuntimeError("broken on purpose")
        return real(*args, **kwargs)

    monkeypatch.setattr(hub_module, "read_board", failing)
    monkeypatch.setattr(hub_module.log, "exception", lambda *_: None)

    async def test() -> None:
        async with opened(browser) as socket:
            assert await until(socket, lambda message: "header" in (message["type"], *message["data"]), within=5) < 3

    in_loop(test)


def test_a_database_that_hangs_reads_as_unknown(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PATIENCE_SECONDS", 0.2)
    real, hangs = read_watch, Event()

    def hanging(readers: Any) -> Any:
        if hangs.is_set():
            released.wait(5)
        return real(readers)

    released = Event()
    monkeypatch.setattr(hub_module, "read_watch", hanging)

    async def test() -> None:
        async with opened(browser) as socket:
            await message_of(socket)
            hangs.set()
            await until(socket, lambda message: _state(message) == "unknown", within=3)
            hangs.clear()
            released.set()
            await until(socket, lambda message: _state(message) == "off", within=3)

    in_loop(test)


def _state(message: dict[str, Any]) -> str:
    return str(message["data"].get("cells", {}).get("kill.state", ("", ""))[1])
