"""Where the broker is and who we are there, as the settings say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from execution.brokers.alpaca_modes import ADDRESSES, NO_KEY, contradictions, is_key
from execution.brokers.base import BrokerNotConfigured


@dataclass(frozen=True, slots=True)
class AlpacaConfiguration:
    """One account's keys and addresses; the addresses end without a slash and name no version."""

    mode: str
    key_id: str
    secret_key: str = field(repr=False)
    base_url: str
    stream_url: str
    connect_milliseconds: int = 3_050
    read_milliseconds: int = 10_000

    @property
    def key_fingerprint(self) -> str:
        """Return the SHA-256 of the key's id, which names the key without telling it."""
        return hashlib.sha256(self.key_id.encode()).hexdigest()


def configuration_of(mode: str) -> AlpacaConfiguration:
    """Return what the settings say about a mode.

    :raises BrokerNotConfigured: no such mode, keys are missing, or they and the address belong to the other mode
    """
    if mode not in ADDRESSES:
        raise BrokerNotConfigured(f"no broker is configured for mode {mode}", code="broker_not_configured")
    key_id, secret_key = str(settings.ALPACA_API_KEY_ID), str(settings.ALPACA_API_SECRET_KEY)
    if not key_id or not secret_key:
        raise BrokerNotConfigured(
            f"mode {mode}: ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY must be set", code="no_keys"
        )
    for name, key in (("ALPACA_API_KEY_ID", key_id), ("ALPACA_API_SECRET_KEY", secret_key)):
        if not is_key(key):
            raise BrokerNotConfigured(f"mode {mode}: {name} {NO_KEY}", code="bad_key")
    wrong = contradictions(mode, key_id, str(settings.ALPACA_BASE_URL), str(settings.ALPACA_STREAM_URL))
    if wrong:
        name, _, allowed = wrong[0]
        raise BrokerNotConfigured(f"mode {mode}: {name} is wrong; allowed: {allowed}", code="wrong_mode")
    base_url = address_of(str(settings.ALPACA_BASE_URL)) or ADDRESSES[mode]
    return AlpacaConfiguration(
        mode=mode,
        key_id=key_id,
        secret_key=secret_key,
        base_url=base_url,
        stream_url=str(settings.ALPACA_STREAM_URL) or stream_of(base_url),
        connect_milliseconds=settings.ALPACA_CONNECT_TIMEOUT_MILLISECONDS,
        read_milliseconds=settings.ALPACA_READ_TIMEOUT_MILLISECONDS,
    )


def address_of(url: str) -> str:
    """Return a base URL without a slash at its end and without the version, which the client adds."""
    return url.rstrip("/").removesuffix("/v2").rstrip("/")


def stream_of(base_url: str) -> str:
    """Return the address of the stream beside a REST address."""
    split = urlsplit(base_url)
    scheme = "wss" if split.scheme == "https" else "ws"
    return urlunsplit((scheme, split.netloc, f"{split.path}/stream", "", ""))
