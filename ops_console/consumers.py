"""The console's WebSocket: it only pushes. A snapshot, then numbered deltas; commands go over HTTP."""

import asyncio
import json
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from ops_console.hub import Hub, Subscriber, hub
from ops_console.permissions import Act, acts_of

NOT_LOGGED_IN, NOT_ALLOWED, NO_LONGER_ALLOWED = 4401, 4403, 4401


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open page. The only thing it may say is `{"type": "resync"}`, after a gap in the numbers."""

    # The hub fans out in the process itself: a page must open when Redis, and with it the channel layer, is away.
    channel_layer_alias = "none"
    hub: Hub | None = None
    subscriber: Subscriber | None = None
    sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Take in people who may read; others get a close code that tells the page what to do."""
        user, session = self.scope.get("user"), self.scope.get("session")
        if user is None or not user.is_authenticated or session is None or not session.session_key:
            await self._refuse(NOT_LOGGED_IN)
            return
        if Act.READ not in await database_sync_to_async(acts_of)(user):
            await self._refuse(NOT_ALLOWED)
            return
        await self.accept()
        self.hub = hub()
        self.subscriber = await self.hub.join(
            user_id=user.pk, session_key=session.session_key, password_hash=user.password
        )
        self.sender = asyncio.create_task(self._send_for_ever(self.subscriber))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send a new snapshot to a page that missed something; anything else is not understood and ends the talk."""
        if self.hub is None or self.subscriber is None:
            return
        if _wants_snapshot(text_data):
            self.subscriber.start_over(self.hub.snapshot())
        else:
            await self.close(code=4400)

    async def disconnect(self, code: int) -> None:
        """Stop sending and leave the hub."""
        if self.sender is not None:
            self.sender.cancel()
        if self.hub is not None and self.subscriber is not None:
            await self.hub.leave(self.subscriber)

    async def _send_for_ever(self, subscriber: Subscriber) -> None:
        while (message := await subscriber.queue.get()) is not None:
            await self.send(text_data=message)
        await self.close(code=NO_LONGER_ALLOWED)

    async def _refuse(self, code: int) -> None:
        # A close before the accept reaches a browser as a plain failure without the code.
        await self.accept()
        await self.close(code=code)


def _wants_snapshot(text: str | None) -> bool:
    try:
        message: Any = json.loads(text or "")
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "resync"
