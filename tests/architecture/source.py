"""The project's own source as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
APPS = ("marketdata", "signals", "risk", "execution", "trading", "ops_console")


@dataclass(frozen=True)
class Source:
    """One file: its path from the repository's root, its lines and its tree."""

    path: str
    lines: int
    tree: ast.Module

    @property
    def app(self) -> str:
        return self.path.split("/", 1)[0]

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def sources() -> tuple[Source, ...]:
    """Return the apps' files without migrations, which are written by a command."""
    return tuple(
        read(path)
        for app in APPS
        for path in sorted((REPOSITORY / app).rglob("*.py"))
        if "migrations" not in path.parts
    )


def read(path: Path) -> Source:
    text = path.read_text()
    return Source(path.relative_to(REPOSITORY).as_posix(), text.count("\n"), ast.parse(text))
