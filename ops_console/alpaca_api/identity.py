"""Ids on Alpaca's wire are UUIDs. Ours hold the row's key, so that one is found again by an indexed read.

A version 8 UUID (RFC 9562) of 122 free bits: 60 say which account and which kind of row, 62 are the row's key. An id of
another account, another kind or another broker is none of ours.
"""

from hashlib import sha256
from uuid import UUID

from execution.models import Account

ORDER, FILL, CASH, ACCOUNT = "order", "fill", "cash", "account"
KEY_BITS = 62
VERSION, VARIANT = 8, 0b10


def uuid_of(account: Account, kind: str, key: int) -> str:
    """Return the id of a row of the account."""
    if not 0 <= key < 1 << KEY_BITS:
        raise ValueError(f"key {key}: 0 to 2^{KEY_BITS} - 1 are allowed")
    return str(UUID(int=_frame(account, kind) | key))


def key_of(account: Account, kind: str, text: str) -> int | None:
    """Return the key of the row that an id stands for, None when it is none of ours."""
    try:
        number = UUID(text).int
    except ValueError:
        return None
    key = number & ((1 << KEY_BITS) - 1)
    return key if number == _frame(account, kind) | key else None


def _frame(account: Account, kind: str) -> int:
    # The name, because it is the same for as long as the account lives; a key may be another's in another database.
    tag = int.from_bytes(sha256(f"{kind}:{account.name}".encode()).digest()[:8], "big") >> 4
    high, low = tag >> 12, tag & 0xFFF
    return high << 80 | VERSION << 76 | low << 64 | VARIANT << 62
