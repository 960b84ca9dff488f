"""Which keys and addresses belong to Alpaca's paper and live modes; the settings read it, so it imports nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

PAPER, LIVE = "alpaca_paper", "alpaca_live"
ADDRESSES = {PAPER: "https://paper-api.alpaca.markets", LIVE: "https://api.alpaca.markets"}
NETWORK_MODES = frozenset(ADDRESSES)
"""Modes of accounts whose broker is on the other side of a network."""
KEYS_REFUSED = "keys_refused"
"""Code of an error: the broker has refused the keys twice, so it is not away."""

NO_KEY = "holds a blank, a line break or another character that no key has"


def is_key(text: str) -> bool:
    """Tell whether a text can go into a header; libraries tell the whole text where it cannot, also a secret one."""
    return text.isascii() and text.isprintable() and " " not in text


def contradictions(mode: str, key_id: str, base_url: str, stream_url: str) -> list[tuple[str, str, str]]:
    """Say which variables do not belong to the mode, each with its value and what is allowed; empty when all do.

    Alpaca's paper keys begin with PK and its live keys with AK. Any host but Alpaca's own (an emulator) serves either.
    """
    prefix, foreign = ("PK", "AK") if mode == PAPER else ("AK", "PK")
    host, other = (urlsplit(ADDRESSES[name]).hostname for name in (mode, LIVE if mode == PAPER else PAPER))
    wrong = []
    if not key_id.startswith(prefix):
        kind = "paper" if mode == PAPER else "live"
        wrong.append(
            ("ALPACA_API_KEY_ID", key_id, f"a {kind} key (beginning with {prefix}, not {foreign}) in mode {mode}")
        )
    for name, url in (("ALPACA_BASE_URL", base_url), ("ALPACA_STREAM_URL", stream_url)):
        split = urlsplit(url)
        if split.hostname == other:
            wrong.append((name, url, f"{host} in mode {mode}"))
        elif split.hostname == host and split.scheme in {"http", "ws"}:
            wrong.append((name, url, f"an encrypted connection to {host}"))
    return wrong
