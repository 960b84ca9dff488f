"""A reason is asked for every act that an auditor will read about."""

from risk.errors import InvalidReason

SHORTEST, LONGEST = 10, 500


def require_reason(reason: str) -> str:
    """Return the reason without outer blanks.

    :raises InvalidReason: shorter than 10 or longer than 500 characters
    """
    text = reason.strip()
    if SHORTEST <= len(text) <= LONGEST:
        return text
    raise InvalidReason(f"reason: {len(text)} characters given, {SHORTEST} to {LONGEST} are needed")
