"""Keys of a development installation: made once, kept beside its data."""

import secrets
from pathlib import Path

LENGTH = 64


def development_key(folder: Path, name: str = "secret_key") -> str:
    """Return the stored key of that name; make it on the first start, readable by its owner only.

    Two processes may start at once: the file is made exclusively, and the loser reads what the winner wrote.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{secrets.token_hex(4)}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(LENGTH))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
