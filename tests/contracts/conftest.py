"""The sources that the contracts read: parsed, never imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"build", "dist", "runs"}


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the root of the repository."""

    path: Path

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)

    @property
    def functions(self) -> Iterator[ast.FunctionDef]:
        return (node for node in self.nodes if isinstance(node, ast.FunctionDef))

    @property
    def imports(self) -> Iterator[str]:
        """The full names of all imported modules, and of what is taken out of them."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ours(path: Path) -> bool:
    return not any(part.startswith(".") or part in SKIPPED for part in path.parts)


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """All Python files of the repository."""
    paths = (path.relative_to(ROOT) for folder in ("*.py", "[!.]*/**/*.py") for path in ROOT.glob(folder))
    return [Source(path) for path in sorted(paths) if is_ours(path)]


@pytest.fixture(scope="session")
def library(sources: list[Source]) -> list[Source]:
    """The files of the package blip3o."""
    return [source for source in sources if source.path.parts[0] == "blip3o"]
