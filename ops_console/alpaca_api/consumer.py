"""The WebSocket of `/alpaca/stream`: authenticate, listen; then it only pushes, binary frames with JSON as Alpaca's."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from execution.alpaca_wire.json import encode
from marketdata.clock import wall_now
from ops_console.addresses import client_address
from ops_console.alpaca_api.base import token_key
from ops_console.alpaca_api.stream import Listener, TooManyListeners, UpdateHub, authorization, update_hub
from ops_console.api.authentication import Caller, caller_with_key, require_scope
from ops_console.api.problems import Problem
from ops_console.api.throttling import Rate, spend
from ops_console.scopes import Scope
from ops_console.services.tokens import living_tokens

TRADE_UPDATES = "trade_updates"
PATIENCE_SECONDS = 10
LONGEST_MESSAGE = 4_096
MALFORMED, UNAUTHORIZED, NO_LONGER, TOO_MANY = 4400, 4401, 4403, 4429
ABNORMAL = 1006


class TradeUpdatesConsumer(AsyncWebsocketConsumer):
    """One program that listens. It needs no session and no origin: it brings its key in the first message."""

    channel_layer_alias = "none"  # the reader of the process hands out what it has read: nothing depends on Redis
    caller: Caller | None = None
    hub: UpdateHub | None = None
    listener: Listener | None = None
    sender: asyncio.Task[None] | None = None
    waiting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Carry the connection, and free its place whatever ends it: also a client that is gone before its answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.disconnect(ABNORMAL)

    async def connect(self) -> None:
        """Take everybody in, for ten seconds without a key."""
        await self.accept()
        try:
            spend(Rate.ADDRESS, self._address())
        except Problem:
            await self.close(code=TOO_MANY)
            return
        self.waiting = asyncio.create_task(self._lose_patience())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Act on one message; one that is none ends the talk."""
        message = _read(text_data if text_data is not None else bytes_data)
        action = message.get("action") if message is not None else None
        if message is None or action not in ("authenticate", "auth", "listen"):
            await self.close(code=MALFORMED)
        elif action == "listen":
            await self._listen(message)
        else:
            await self._authenticate(message)

    async def disconnect(self, code: int) -> None:
        """Stop everything."""
        await self._forget()
        if self.waiting is not None:
            self.waiting.cancel()

    async def _authenticate(self, message: dict[str, Any]) -> None:
        key_id, secret = _keys(message)
        try:
            self.caller = await database_sync_to_async(_caller)(token_key(key_id, secret), self._address())
        except Problem:
            await self._say(authorization(authorized=False))
            await self.close(code=UNAUTHORIZED)
            return
        if self.waiting is not None:
            self.waiting.cancel()
        await self._say(authorization(authorized=True))

    async def _listen(self, message: dict[str, Any]) -> None:
        """Listen to the streams that are named from now on, and to no others."""
        if self.caller is None or not await database_sync_to_async(_may_listen)(self.caller):
            await self._say(authorization(authorized=False))
            await self.close(code=UNAUTHORIZED)
            return
        wanted = _streams(message)
        if TRADE_UPDATES in wanted and self.listener is None:
            self.hub = update_hub()
            try:
                self.listener = await self.hub.join(_token_of(self.caller))
            except TooManyListeners:
                await self.close(code=TOO_MANY)
                return
        elif TRADE_UPDATES not in wanted:
            await self._forget()
        listened = [TRADE_UPDATES] if self.listener is not None else []
        await self._say({"stream": "listening", "data": {"streams": listened}})
        if self.listener is not None and self.sender is None:
            self.sender = asyncio.create_task(self._send_for_ever(self.listener))

    async def _send_for_ever(self, listener: Listener) -> None:
        while (message := await listener.queue.get()) is not None:
            await self.send(bytes_data=message)
        await self.close(code=NO_LONGER)

    async def _forget(self) -> None:
        sender, self.sender = self.sender, None
        listener, self.listener = self.listener, None
        if sender is not None:
            sender.cancel()
        if listener is not None and self.hub is not None:
            await self.hub.leave(listener)

    async def _lose_patience(self) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)
        await self.close(code=UNAUTHORIZED)

    async def _say(self, message: dict[str, Any]) -> None:
        await self.send(bytes_data=encode(message))

    def _address(self) -> str:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        host, _ = self.scope.get("client") or ("", 0)
        return client_address({"REMOTE_ADDR": host, "HTTP_X_FORWARDED_FOR": headers.get("x-forwarded-for", "")})


def _caller(key: str, address: str) -> Caller:
    return require_scope(caller_with_key(key, address=address)[1], Scope.READ)


def _may_listen(caller: Caller) -> bool:
    """Say whether the key still opens the stream: it may have been shown long ago."""
    token_id = _token_of(caller)
    return token_id in living_tokens([token_id], needed=Scope.READ, now=wall_now())


def _token_of(caller: Caller) -> str:
    return caller.via.removeprefix("token:")


def _read(data: str | bytes | None) -> dict[str, Any] | None:
    if data is None or len(data) > LONGEST_MESSAGE:
        return None
    with suppress(ValueError, RecursionError):
        message = json.loads(data)
        return message if isinstance(message, dict) else None
    return None


def _keys(message: dict[str, Any]) -> tuple[str, str]:
    """Return id and secret: in `data`, or beside the action as the data streams have them."""
    data = message.get("data")
    if isinstance(data, dict):
        return str(data.get("key_id", "")), str(data.get("secret_key", ""))
    return str(message.get("key", "")), str(message.get("secret", ""))


def _streams(message: dict[str, Any]) -> list[str]:
    data = message.get("data")
    streams = data.get("streams") if isinstance(data, dict) else None
    return [str(name) for name in streams] if isinstance(streams, list) else []
