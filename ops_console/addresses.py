"""Where a request comes from, when proxies stand in between."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

UNKNOWN = "unknown"
MOST_HOPS = 20


def client_address(headers: Mapping[str, Any]) -> str:
    """Return the nearest address that is not a trusted proxy; `headers` is a request's META.

    `X-Forwarded-For` is read from the right and only as far as trusted proxies wrote it, so a client cannot choose
    its own address.
    """
    address = str(headers.get("REMOTE_ADDR") or UNKNOWN)
    trusted = tuple(str(entry) for entry in getattr(settings, "TRUSTED_PROXY_IPS", ()))
    hops = str(headers.get("HTTP_X_FORWARDED_FOR", "")).split(",")[-MOST_HOPS:]
    while hops and _is_trusted(address, trusted):
        nearer = hops.pop().strip()
        if not _is_address(nearer):
            break
        address = nearer
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1_000)
def _is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in _networks(trusted))


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in trusted)
