"""Digests of LFs from syntax alone: the code, constants and files that an LF reads.

A digest follows every name an LF mentions to the module-level statement that binds it, and on
through helpers and sibling files. Comments, formatting and the order of definitions do not count.
Where names cannot be followed (``globals()``, a function that rewrites module state, a star
import) the digest covers the whole folder: an edit may then re-run too much, never too little.

Try it: ``FolderSyntax.parse(Path("lfs")).digest("silhouette", "two_legs", {})``.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from weaklight.errors import LabelingError

__all__ = ["FolderSyntax", "ModuleSyntax"]

DIGEST_VERSION = 1
BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__package__"}
ESCAPES = frozenset({"globals", "eval", "exec", "locals", "__import__", "importlib", "sys"})
MUTATORS = frozenset(
    "add append clear discard extend insert pop popitem remove reverse setdefault sort "
    "update".split()
)


class _CannotFollowError(Exception):
    """A name leads somewhere that syntax alone does not show."""


@dataclass(frozen=True)
class ModuleSyntax:
    """One file of the folder: its text, its tree and what each top-level statement binds."""

    path: Path
    source: bytes
    tree: ast.Module
    bindings: dict[str, list[ast.stmt]] = field(default_factory=dict)
    siblings: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    always: list[ast.stmt] = field(default_factory=list)

    @classmethod
    def parse(cls, path: Path) -> ModuleSyntax:
        """Read one file.

        Raises
        ------
        LabelingError
            If it is not Python; the message names file, line and what is wrong.
        """
        source = path.read_bytes()
        try:
            module = cls(path, source, ast.parse(source, filename=str(path)))
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            reason = getattr(error, "msg", None) or error
            raise LabelingError(
                f"{path}, line {line}: not valid Python ({reason}); correct it and run again"
            ) from None
        for statement in module.tree.body:
            module._sort_in(statement)
        return module

    def _sort_in(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._bind(statement.name, statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                name = alias.asname or alias.name.split(".")[0]
                self.imported.add(name)
                if isinstance(statement, ast.ImportFrom) and statement.level:
                    sibling = statement.module or alias.name
                    self.siblings[name] = (sibling, alias.name if statement.module else None)
                else:
                    self._bind(name, statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and all(
            isinstance(target, ast.Name) for target in _targets(statement)
        ):
            for target in _targets(statement):
                self._bind(target.id, statement)  # type: ignore[attr-defined]
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            # a loop, a call, `WORDS.update(...)`: it may change anything in this module
            self.always.append(statement)
            for name in _stored_names(statement):
                self.bindings.setdefault(name, [])

    def _bind(self, name: str, statement: ast.stmt) -> None:
        self.bindings.setdefault(name, []).append(statement)

    def line_of(self, name: str) -> int:
        """Return the line that binds ``name`` last, 1 where syntax does not show it."""
        statements = self.bindings.get(name) or []
        return statements[-1].lineno if statements else 1

    @cached_property
    def is_opaque(self) -> bool:
        """Names of this module can change in ways that its syntax does not show."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Global | ast.Nonlocal):
                return True
            if isinstance(node, ast.Name) and node.id in ESCAPES:
                return True
            if isinstance(node, ast.ImportFrom):
                nested = bool(node.level) and node not in self.tree.body
                if nested or any(alias.name == "*" for alias in node.names):
                    return True
            is_statement = isinstance(node, ast.Assign | ast.AnnAssign) and node in self.tree.body
            if is_statement or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if self._rewrites(node):
                    return True
        return False

    def _rewrites(self, code: ast.AST) -> bool:
        """Tell whether a function or an assignment changes a module-level object in place."""
        own = _stored_names(code)
        for node in ast.walk(code):
            target: ast.expr | None = None
            if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(
                node.ctx, ast.Load
            ):
                target = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                target = node.func.value if node.func.attr in MUTATORS else None
            while isinstance(target, ast.Subscript | ast.Attribute):
                target = target.value
            if isinstance(target, ast.Name) and target.id not in own:
                if target.id in self.bindings or target.id in self.siblings:
                    return True
        return False


@dataclass(frozen=True)
class FolderSyntax:
    """Every ``*.py`` file of a folder, and the other files that they may read.

    Attributes
    ----------
    broken
        What is wrong with the files that are not Python.
    """

    folder: Path
    modules: dict[str, ModuleSyntax] = field(default_factory=dict)
    broken: dict[str, LabelingError] = field(default_factory=dict)

    @classmethod
    def parse(cls, folder: Path) -> FolderSyntax:
        """Parse the folder's files, sorted by name; subfolders hold data, not LFs."""
        syntax = cls(folder)
        for path in sorted(path for path in folder.glob("*.py") if not path.name.startswith(".")):
            try:
                syntax.modules[path.stem] = ModuleSyntax.parse(path)
            except LabelingError as error:
                syntax.broken[path.stem] = error
        return syntax

    @cached_property
    def _data_files(self) -> dict[str, Path]:
        """Files that are not code, by their name and by their path inside the folder."""
        found: dict[str, Path] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                found[path.relative_to(self.folder).as_posix()] = path
                found.setdefault(path.name, path)
        return found

    def digest(self, stem: str, variable: str, options: dict[str, Any]) -> str:
        """Return the sha256 of all that the LF bound to ``variable`` in file ``stem`` reads."""
        try:
            parts = self._closure(stem, variable)
        except _CannotFollowError:
            parts = {
                (name, ""): list(module.tree.body) for name, module in self.modules.items()
            } | {(stem, variable): []}
        statements = [statement for group in parts.values() for statement in group]
        payload = {
            "version": DIGEST_VERSION,
            "options": options,
            "code": [[*key, [ast.dump(s) for s in group]] for key, group in sorted(parts.items())],
            "files": {
                name: hashlib.sha256(self._data_files[name].read_bytes()).hexdigest()
                for name in sorted(self._mentioned_files(statements))
            },
        }
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()

    def _mentioned_files(self, statements: Iterable[ast.stmt]) -> set[str]:
        """Files beside the LFs that some text constant names, such as "brands.txt"."""
        return {
            node.value
            for statement in statements
            for node in ast.walk(statement)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value in self._data_files
        }

    def _closure(self, stem: str, variable: str) -> dict[tuple[str, str], list[ast.stmt]]:
        """Return the statements behind a name, by (file, name), followed through."""
        found: dict[tuple[str, str], list[ast.stmt]] = {}
        to_do = [(stem, variable), (stem, "")]
        while to_do:
            key = to_do.pop()
            if key in found:
                continue
            stem, name = key
            module = self.modules.get(stem)
            if module is None or module.is_opaque:
                raise _CannotFollowError(stem)
            if name in module.siblings:
                found[key] = []
                sibling, inner = module.siblings[name]
                if sibling not in self.modules:
                    raise _CannotFollowError(sibling)
                inner_names = [inner] if inner else [*self.modules[sibling].bindings]
                to_do += [(sibling, inner_name) for inner_name in [*inner_names, ""]]
                continue
            found[key] = module.always if name == "" else module.bindings.get(name, [])
            if name and name not in module.bindings:
                raise _CannotFollowError(name)
            for statement in found[key]:
                to_do += [(stem, used) for used in self._names_to_follow(module, statement)]
        return found

    @staticmethod
    def _names_to_follow(module: ModuleSyntax, statement: ast.stmt) -> Iterator[str]:
        own = _stored_names(statement)
        for node in ast.walk(statement):
            if not isinstance(node, ast.Name):
                continue
            if node.id in module.bindings or node.id in module.siblings:
                yield node.id
            elif node.id not in own and node.id not in BUILTINS:
                raise _CannotFollowError(node.id)


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _stored_names(tree: ast.AST) -> set[str]:
    """Names that are bound somewhere inside ``tree``: arguments, targets, nested definitions."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names
