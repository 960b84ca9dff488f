"""The signature of a model: over its bytes and everything that decides how they are used."""

import hashlib
import hmac
import json
from typing import Any

from django.conf import settings

from signals.models import ModelVersion
from signals.registry.errors import SigningKeyError

SIGNED = (
    "strategy",
    "number",
    "sha256",
    "size_bytes",
    "identity",
    "features",
    "feature_version",
    "code_version",
    "data_hash",
    "parameters",
    "seed",
    "rounds",
    "golden",
)


def signature_of(version: ModelVersion, content: bytes) -> str:
    """Return the HMAC-SHA256, 64 hexadecimal digits, under `MODEL_SIGNING_KEY`.

    :raises SigningKeyError: no key is set
    """
    key = str(settings.MODEL_SIGNING_KEY)
    if not key:
        raise SigningKeyError("MODEL_SIGNING_KEY is not set: without it no model can be signed or verified")
    said = statement(version)
    digest = hmac.new(key.encode(), b"portcullis model 1\0", hashlib.sha256)
    digest.update(len(said).to_bytes(8, "big") + said)
    digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def statement(version: ModelVersion) -> bytes:
    """Return what the signature says about the bytes, in one canonical form."""
    return canonical({name: getattr(version, name) for name in SIGNED})


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys in which equal numbers look alike, whatever a database has made of their form."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value).hex()  # jsonb keeps the value of a number, not its form
    return value
