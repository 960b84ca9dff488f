"""Which engine somebody wants: the options of commands, and the one place where an engine is made."""

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from signals.engine.base import Engine, EngineError
from signals.engine.here import Inline, Processes

if TYPE_CHECKING:
    from distributed import Security

NAMES = ("here", "processes", "dask")
SCHEMES = ("tcp", "tls")


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine by name; `processes` 0 is one a core, `scheduler` is needed by `dask` alone."""

    engine: str = "here"
    scheduler: str = ""
    processes: int = 0
    tls: tuple[str, str, str] | None = None
    """Files for a scheduler at tls://: authority, our certificate, its key."""


def add_engine_options(parser: ArgumentParser) -> None:
    """Define `--engine`, `--scheduler`, `--processes` and the files of TLS."""
    group = parser.add_argument_group("engine", "where it is computed; the numbers are the same")
    group.add_argument("--engine", choices=NAMES, help="this process, several, or a Dask cluster (ENGINE)")
    group.add_argument("--scheduler", default="", metavar="ADDRESS", help="of --engine dask: tcp://HOST:8786, tls://…")
    group.add_argument("--processes", type=int, default=0, metavar="N", help="of --engine processes: 0 is one a core")
    group.add_argument("--tls-ca", default="", metavar="FILE", help="of a scheduler at tls://: the authority's file")
    group.add_argument("--tls-cert", default="", metavar="FILE", help="our certificate")
    group.add_argument("--tls-key", default="", metavar="FILE", help="its key")


def chosen(options: Mapping[str, Any]) -> Choice:
    """Return what the options of a command say.

    Without `--engine` it is what the settings say.
    :raises EngineError: they contradict each other
    """
    if options["engine"] is None and not options["scheduler"] and not options["processes"]:
        return configured()
    files = tuple(str(options[name]) for name in ("tls_ca", "tls_cert", "tls_key"))
    choice = Choice(
        options["engine"] or "here",
        options["scheduler"],
        options["processes"],
        files if any(files) else None,  # type: ignore[arg-type]
    )
    check(choice)
    return choice


def configured() -> Choice:
    """Return what the settings of the installation say: where jobs are computed, and commands that say nothing else."""
    files = (settings.ENGINE_TLS_CA, settings.ENGINE_TLS_CERT, settings.ENGINE_TLS_KEY)
    return Choice(settings.ENGINE, settings.ENGINE_SCHEDULER, settings.ENGINE_PROCESSES, files if any(files) else None)


def check(choice: Choice) -> None:
    """Refuse a choice that cannot be.

    :raises EngineError: it cannot; the message names the option
    """
    if choice.engine not in NAMES:
        raise EngineError(f"engine = {choice.engine}: allowed is one of {', '.join(NAMES)}")
    if choice.scheduler and choice.engine != "dask":
        raise EngineError(f"scheduler = {choice.scheduler}: allowed with engine = dask alone")
    if choice.processes < 0:
        raise EngineError(f"processes = {choice.processes}: allowed is 0 (one a core) or more")
    if choice.processes and choice.engine != "processes":
        raise EngineError(f"processes = {choice.processes}: allowed with engine = processes alone")
    if choice.engine == "dask":
        _check_address(choice)


def engine_for(choice: Choice) -> Engine:
    """Return the engine; use it in a `with` block.

    :raises EngineError: the choice cannot be, or nobody answers there
    """
    check(choice)
    if choice.engine == "here":
        return Inline()
    if choice.engine == "processes":
        from signals.engine.here import cores

        return Processes(choice.processes or cores())
    from signals.engine.cluster import Cluster  # a second of imports, which only who uses it should pay

    return Cluster(choice.scheduler, security=_security(choice))


def _check_address(choice: Choice) -> None:
    allowed = "tcp://HOST:PORT or tls://HOST:PORT of a Dask scheduler"
    try:
        parts = urlsplit(choice.scheduler)
        whole = parts.scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        whole = None
    if not whole:
        raise EngineError(f"scheduler = {choice.scheduler or 'nothing'}: allowed is {allowed}")
    if (choice.tls is not None) != choice.scheduler.startswith("tls:"):
        raise EngineError("tls_ca, tls_cert, tls_key: allowed with a scheduler at tls:// alone, and needed there")
    for name, file in zip(("tls_ca", "tls_cert", "tls_key"), choice.tls or (), strict=False):
        if not Path(file).is_file():
            raise EngineError(f"{name} = {file or 'nothing'}: allowed is a file that can be read")


def _security(choice: Choice) -> "Security | None":
    if choice.tls is None:
        return None
    from distributed import Security

    authority, certificate, key = choice.tls
    return Security(  # type: ignore[no-untyped-call]
        tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
    )
