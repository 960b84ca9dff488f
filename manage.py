#!/usr/bin/env python
"""Command line of Portcullis."""

import os
import signal
import sys


def main() -> None:
    """Run one management command.

    SIGTERM ends a command like an exit does, so that the embedded servers are released.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trading.settings")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
