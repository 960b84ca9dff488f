"""The files of models: written whole or not at all, read once, and verified before anything looks into them."""

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from signals.models import ModelVersion
from signals.registry.errors import ArtefactError
from signals.registry.signing import signature_of

LARGEST_BYTES = 256 * 1024 * 1024
"""A model of Qlib's size (210 leaves, 1,000 trees) has some 20 MB."""


def path_of(version: ModelVersion) -> Path:
    """Return where the file of a version lies; the name follows from the row, no path is ever read from it."""
    name = f"{version.number:06d}-{version.sha256[:16]}.txt"
    return Path(settings.MODEL_DIR) / version.strategy / name


def write(version: ModelVersion, content: bytes) -> Path:
    """Store the bytes under the version's name: a draft beside it, flushed to the disk, then renamed.

    :raises ArtefactError: too large, or the disk refuses
    """
    if not 0 < len(content) <= LARGEST_BYTES:
        raise ArtefactError(f"model file: got {len(content)} bytes, allowed are 1 to {LARGEST_BYTES}")
    path = path_of(version)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_draft(draft, content)
        draft.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ArtefactError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def read_verified(version: ModelVersion) -> bytes:
    """Return the file's bytes, read once; nobody has looked into them, and they are what was signed.

    :raises ArtefactError: missing, no plain file, of another size, altered, or not signed with our key
    """
    path = path_of(version)
    content = _read(path, version.size_bytes)
    if len(content) != version.size_bytes:
        raise ArtefactError(f"{path}: {len(content)} bytes where {version.size_bytes} were stored")
    found = hashlib.sha256(content).hexdigest()
    if not hmac.compare_digest(found, version.sha256):
        raise ArtefactError(f"{path}: SHA-256 is {found[:16]}…, stored is {version.sha256[:16]}…: the file was altered")
    if not version.signature:
        raise ArtefactError(f"{version} is not signed: it cannot be used")
    if not hmac.compare_digest(signature_of(version, content), version.signature):
        raise ArtefactError(f"{version}: the signature does not fit file, features and key: nothing of it was read")
    return content


def _read(path: Path, size: int) -> bytes:
    if not 0 < size <= LARGEST_BYTES:
        raise ArtefactError(f"{path}: {size} bytes are stored for it, allowed are 1 to {LARGEST_BYTES}")
    handle = _opened(path)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ArtefactError(f"{path} is no plain file")
        if found.st_size != size:
            raise ArtefactError(f"{path}: {found.st_size} bytes where {size} were stored")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(size + 1)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        # Neither a link nor a pipe: the one would leave the folder, the other would make us wait.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ArtefactError(f"{path} is missing: copy it back, or activate another version") from None
    except OSError as error:
        raise ArtefactError(f"{path} cannot be opened: {error.strerror or error}") from error


def _write_draft(draft: Path, content: bytes) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
