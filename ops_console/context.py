"""The frame's values, for every template: mode, trading state, clock, figures, lights, who is there."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from execution.models import Strategy
from marketdata.clock import wall_now
from ops_console.permissions import acts_of, scope_of
from ops_console.snapshot.board import Topic
from ops_console.snapshot.desk import DATABASE_AWAY, Desk, read_desk
from ops_console.snapshot.header import header

THEMES = ("dark", "light", "system")
DENSITIES = ("dense", "comfortable")
LIGHTS = ("light.feed", "light.database", "light.redis", "light.worker", "light.dispatcher")
MOST_SYMBOLS = 200
PAGES = (
    ("overview", "Overview"),
    ("orders", "Orders"),
    ("positions", "Positions"),
    ("runs", "Runs"),
    ("risk", "Risk"),
    ("reconciliation", "Reconciliation"),
    ("alerts", "Alerts"),
    ("models", "Models"),
    ("data", "Data"),
    ("sql", "SQL"),
    ("backtests", "Backtests"),
    ("jobs", "Jobs"),
)
MODES: dict[str, tuple[str, str]] = {
    "paper": ("Paper", "built-in exchange, no real money"),
    "dry_run": ("Dry run", "nothing is sent anywhere"),
    "alpaca_paper": ("Alpaca paper", "paper account at the broker, no real money"),
    "alpaca_live": ("Live", "real money"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the navigation."""

    name: str
    title: str
    address: str
    current: bool


@dataclass(slots=True)
class Frame:
    """What base.html needs; `user` is None for people who are not logged in, who see the mode and nothing else."""

    mode: str
    mode_word: str
    mode_note: str
    theme: str
    density: str
    account_name: str
    account_number: str = ""
    kill_state: str = "unknown"
    user: Any = None
    role: str = ""
    may: str = ""
    header: Topic | None = None
    desk: Desk | None = None
    pages: list[Page] = field(default_factory=list)
    kill_scopes: list[tuple[str, str]] = field(default_factory=list)
    lights: tuple[str, ...] = LIGHTS


def frame(request: HttpRequest) -> dict[str, Any]:
    """Add `frame`; nothing is read before a template asks for it."""
    return {"frame": SimpleLazyObject(lambda: frame_of(request))}


def frame_of(request: HttpRequest) -> Frame:
    """Return the frame of a request, read once however many templates are rendered for it."""
    if not hasattr(request, "_console_frame"):
        request._console_frame = _build(request)  # type: ignore[attr-defined]
    built: Frame = request._console_frame  # type: ignore[attr-defined]
    return built


def _build(request: HttpRequest) -> Frame:
    mode = str(settings.TRADING_MODE)
    word, note = MODES[mode]
    built = Frame(
        mode=mode,
        mode_word=word,
        mode_note=note,
        theme=_chosen(request, "theme", THEMES),
        density=_chosen(request, "density", DENSITIES),
        account_name=mode,
    )
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return built
    _fill(built, request, user)
    return built


def _fill(built: Frame, request: HttpRequest, user: Any) -> None:
    desk = read_desk(wall_now())
    scope = scope_of(user)
    built.user, built.desk, built.header = user, desk, header(desk)
    built.kill_state = desk.kill_state
    if desk.has_line:
        built.lights = (*LIGHTS, "light.broker")
    built.role = "superuser" if user.is_superuser else (scope.value if scope else "no role")
    built.may = " ".join(sorted(acts_of(user)))
    built.kill_scopes = _scopes(desk)
    built.pages = _pages(request, is_staff=user.is_staff)
    if desk.account is not None:
        built.account_name, built.account_number = desk.account.name, desk.account.account_number


def _pages(request: HttpRequest, *, is_staff: bool) -> list[Page]:
    here = request.path
    pages = [Page(name, title, reverse(name), _is_here(here, reverse(name))) for name, title in PAGES]
    if is_staff:
        pages.append(Page("admin", "Admin", reverse("admin:index"), here.startswith(reverse("admin:index"))))
    return pages


def _is_here(here: str, address: str) -> bool:
    return here == address if address == "/" else here.startswith(address)


def _scopes(desk: Desk) -> list[tuple[str, str]]:
    found = [] if desk.account is None else [(desk.account.scope, f"Account {desk.account.name}")]
    try:
        names = list(Strategy.objects.values_list("name", flat=True).order_by("name"))
    except DATABASE_AWAY:
        return found
    found += [(f"strategy:{name}", f"Strategy {name}") for name in names]
    symbols = sorted({line.symbol for line in desk.pnl.positions if line.quantity}) if desk.pnl else []
    return found + [(f"symbol:{symbol}", f"Symbol {symbol}") for symbol in symbols[:MOST_SYMBOLS]]


def _chosen(request: HttpRequest, name: str, allowed: tuple[str, ...]) -> str:
    value = request.COOKIES.get(name, "")
    return value if value in allowed else allowed[0]
