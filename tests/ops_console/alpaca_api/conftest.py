"""A desk whose Alpaca-compatible API is served over a real socket, and alpaca-py's own clients in front of it."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

import pytest
import uvicorn
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from django.db import connections

from execution.models import Account, Strategy
from marketdata.clock import wall_now
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from ops_console.scopes import Scope
from ops_console.services.tokens import create_token
from tests.factories import allow_bursts, make_account
from tests.ops_console.api.conftest import make_user
from trading.asgi import application


@dataclass(frozen=True)
class Keys:
    """What Alpaca calls a key: its id and its secret."""

    key_id: str
    secret: str

    @property
    def whole(self) -> str:
        return f"pc_{self.key_id}_{self.secret}"


KeysOf = Callable[..., Keys]


class LiveServer:
    """The web process's application on a port of its own, in a thread."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(
            application, lifespan="off", log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=2
        )
        self.server = uvicorn.Server(config)
        self.thread = Thread(target=self._serve, name="live-server")
        self.thread.start()

    def _serve(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.socket]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alpaca"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/alpaca/stream"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture
def account(transactional_db: None) -> Iterator[Account]:
    """Return the desk's account, which may trade AAPL at 100."""
    limiter.forget()
    forget_account()
    made = make_account(name="paper")
    allow_bursts()
    yield made
    forget_account()


@pytest.fixture
def server(account: Account) -> Iterator[LiveServer]:
    """Serve the desk."""
    # A thread of the server lives as long as its request, and so must its connection.
    settings = connections.settings["default"]
    kept, settings["CONN_MAX_AGE"] = settings["CONN_MAX_AGE"], 0
    running = LiveServer()
    yield running
    running.close()
    settings["CONN_MAX_AGE"] = kept


@pytest.fixture
def keys_of(transactional_db: None) -> KeysOf:
    """Return a maker of keys."""

    def make(scope: Scope = Scope.TRADE, name: str = "", strategy: str = "") -> Keys:
        user = make_user(name or f"{scope.value}-user", scope)
        issued = create_token(
            user=user,
            name="test",
            scope=scope,
            now=wall_now(),
            lifetime=timedelta(days=1),
            strategy=Strategy.objects.get(name=strategy) if strategy else None,
        )
        _, key_id, secret = issued.key.split("_", 2)
        return Keys(key_id, secret)

    return make


@pytest.fixture
def client(server: LiveServer, keys_of: KeysOf) -> TradingClient:
    """Return alpaca-py's trading client with a key that may trade."""
    keys = keys_of()
    return TradingClient(keys.key_id, keys.secret, url_override=server.url)


@pytest.fixture
def data_client(server: LiveServer, keys_of: KeysOf) -> StockHistoricalDataClient:
    """Return alpaca-py's data client with a key that may read."""
    keys = keys_of(Scope.READ)
    return StockHistoricalDataClient(keys.key_id, keys.secret, url_override=server.url)
