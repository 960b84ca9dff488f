"""What the command of the kill switch takes."""

from argparse import ArgumentParser, ArgumentTypeError

from risk.services.kill_switch import LEVELS
from risk.states import SwitchLevel

MOST_SECONDS = 3_600


def add_options(parser: ArgumentParser) -> None:
    """Declare the act and its options."""
    actions = ("status", "preview", "engage", "disengage", "approve", "accept")
    parser.add_argument("action", choices=actions)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--strategy", help="only this strategy (default: everything)")
    scope.add_argument("--account", help="only this account (default: everything)")
    scope.add_argument("--symbol", help="only this symbol (default: everything)")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--level", choices=LEVELS, default=SwitchLevel.HALTED, help="how far (default: halted)")
    level.add_argument(
        "--flatten",
        action="store_const",
        dest="level",
        const=SwitchLevel.FLATTENING,
        help="the same as --level flattening",
    )
    parser.add_argument("--everything", action="store_true", help="cancel orders that are not ours as well")
    parser.add_argument(
        "--at-open", action="store_true", help="while the market is closed: closing orders wait for the next open"
    )
    parser.add_argument(
        "--wait",
        nargs="?",
        type=seconds,
        const=30,
        metavar="SECONDS",
        help="wait for the proof (default 30, at most 3600)",
    )
    parser.add_argument("--direct", action="store_true", help="carry it out here: the dispatcher is dead")
    parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
    parser.add_argument("--second-operator", help="who else answers for a release")
    parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")
    parser.add_argument("--word", help='of a release, e.g. "RELEASE GLOBAL"; asked for at a terminal')
    parser.add_argument(
        "--to",
        choices=("active", "reducing", "halted"),
        default="active",
        help="down to which level (default: active)",
    )
    parser.add_argument("--request", type=int, help="of approve: the number of the release request")
    parser.add_argument("--halt", type=int, help="of accept: the number of the halt")
    parser.add_argument("--name", help="of accept: what is left, by its name")
    parser.add_argument("--totp", metavar="CODE", help="one-time code instead of a second operator; not set up yet")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")


def seconds(text: str) -> int:
    """Read how long to wait.

    :raises ArgumentTypeError: not a whole number from 1 to 3600
    """
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SECONDS:
        raise ArgumentTypeError(f"{text!r} is not allowed; a whole number from 1 to 3600 is")
    return int(text)
