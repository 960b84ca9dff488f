"""Is this installation fit to trade: one check a fact, each with what to do when it is not so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, InterfaceError

from marketdata.errors import MarketDataError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check found; `remedy` is what to do, empty when all is well."""

    name: str
    found: str
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.remedy


Check = Callable[[datetime], Diagnosis]


def examine(checks: dict[str, Check], wall_now: datetime) -> Iterator[Diagnosis]:
    """Run the checks one after the other; one that cannot be made is not well."""
    for name, check in checks.items():
        try:
            yield check(wall_now)
        except (DatabaseError, InterfaceError) as error:
            yield Diagnosis(name, f"unknown: {_first_line(error)}", "see to the database, then look again")
        except (OSError, MarketDataError) as error:
            yield Diagnosis(name, f"unknown: {_first_line(error)}", "see to what the line says, then look again")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
