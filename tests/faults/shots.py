"""Many requests at the same moment, each on a socket of its own, as a hundred programs would send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from marketdata.clock import wall_now
from tests.faults.outpost import LOCAL, Outpost, Reply, since

WAIT_SECONDS = 60
HEAD_END = b"\r\n\r\n"


def orders_at_once(outpost: Outpost, bodies: Sequence[Mapping[str, Any]], *, key: str = "") -> list[Reply]:
    """Send orders from as many clients, released together; `key` is everybody's Idempotency-Key."""
    requests = [_request(outpost, body, key or str(body["client_order_id"])) for body in bodies]
    return asyncio.run(_all(outpost.port + 1, requests))


async def _all(port: int, requests: Sequence[bytes]) -> list[Reply]:
    start = asyncio.Event()
    clients = [asyncio.create_task(_one(port, request, start)) for request in requests]
    await asyncio.sleep(0)
    start.set()
    return await asyncio.gather(*clients)


async def _one(port: int, request: bytes, start: asyncio.Event) -> Reply:
    await start.wait()
    began = wall_now()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            reader, writer = await asyncio.open_connection(LOCAL, port)
            try:
                writer.write(request)
                return _reply(await reader.read(), since(began))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return Reply(0, seconds=since(began))


def _reply(told: bytes, seconds: float) -> Reply:
    head, end, body = told.partition(HEAD_END)
    if not end:
        return Reply(0, seconds=seconds)
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Reply(int(first.split()[1]), body, {name: value.strip() for name, _, value in pairs}, seconds)


def _request(outpost: Outpost, body: Mapping[str, Any], key: str) -> bytes:
    data = json.dumps(body).encode()
    lines = [
        "POST /api/v1/orders HTTP/1.1",
        f"Host: {LOCAL}:{outpost.port + 1}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        f"Authorization: Token {outpost.key}",
        f"Idempotency-Key: {key}",
    ]
    return "\r\n".join(lines).encode() + HEAD_END + data
