"""Secrets of the installation are taken out of texts that are kept or shown."""

from django.conf import settings

NAMES = (
    "SECRET_KEY",
    "WEBHOOK_SECRET",
    "MODEL_SIGNING_KEY",
    "ALPACA_API_KEY_ID",
    "ALPACA_API_SECRET_KEY",
)
SHORTEST = 6
"""Shorter values would blacken ordinary words."""
INSTEAD = "[hidden]"


def without_secrets(text: str) -> str:
    """Return the text with the values of the settings' secrets and of the database's password replaced."""
    for value in _secrets():
        text = text.replace(value, INSTEAD)
    return text


def _secrets() -> list[str]:
    values = [str(getattr(settings, name, "") or "") for name in NAMES]
    values += [str(value) for value in getattr(settings, "INTERNAL_TOKEN_SECRETS", {}).values()]
    values.append(str(settings.DATABASES["default"].get("PASSWORD") or ""))
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)
