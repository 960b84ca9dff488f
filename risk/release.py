"""Which code this process runs: a digest of its sources, so that two versions are told apart whoever built them."""

from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("marketdata", "signals", "risk", "execution", "trading", "ops_console")
LENGTH = 12


@cache
def code_version() -> str:
    """Return twelve hexadecimal digits; read once, so call it before the files can change under a running process."""
    digest = sha256()
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:LENGTH]
