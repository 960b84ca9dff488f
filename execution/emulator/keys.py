"""Who may come in: one pair of keys, in any of the ways that Alpaca's clients send them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from secrets import compare_digest

from starlette.datastructures import Headers

from execution.alpaca_wire.errors import UNAUTHORIZED, WireError

DEFAULT_KEY_ID = "PKEMULATOR"
DEFAULT_SECRET = "emulator-secret"  # noqa: S105 -- protects play money, and is printed on start


@dataclass(frozen=True, slots=True)
class Keys:
    """The pair; a bearer token is the secret alone."""

    key_id: str = DEFAULT_KEY_ID
    secret: str = DEFAULT_SECRET

    def fit(self, key_id: object, secret: object) -> bool:
        """Tell whether these are the keys."""
        given = f"{key_id}:{secret}".encode()
        return compare_digest(given, f"{self.key_id}:{self.secret}".encode())

    def check(self, headers: Headers) -> None:
        """Let a request pass that carries the keys: both headers, Basic, or Bearer.

        :raises WireError: 401, no keys or wrong ones
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            key_id, secret = _basic(credentials)
        elif scheme.lower() == "bearer":
            key_id, secret = self.key_id, credentials
        else:
            key_id, secret = headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", "")
        if not self.fit(key_id, secret):
            raise unauthorized()


def unauthorized() -> WireError:
    """Return Alpaca's answer to keys that it does not know."""
    return WireError(401, UNAUTHORIZED, "access key verification failed : access key not found (Code = 40110000)")


def _basic(credentials: str) -> tuple[str, str]:
    try:
        key_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key_id, secret
