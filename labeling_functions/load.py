"""Loading a project's ``lfs/`` folder: every LF in every file, by path, with its digest.

``*.toml`` files declare templates. ``*.py`` files become submodules of a private package that
exists only in memory: ``sys.path`` is never touched, no ``__pycache__`` is written, and a file may
import a sibling with ``from ._helpers import LIMIT``. Files whose name starts with ``_`` hold
helpers, not LFs.

Try it: ``[lf.name for lf in load_folder(Path("examples/fashion/lfs"))]``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from labeling_functions.functions import LabelingFunction, Origin, SnorkelFunction, first_sentence
from labeling_functions.syntax import FolderSyntax, ModuleSyntax
from labeling_functions.templates import Template, toml
from weaklight.errors import LabelingError

__all__ = ["load_folder", "load_readable", "raise_broken"]

_LOCK = threading.RLock()
_FOLDERS: dict[str, FolderSyntax] = {}


def load_folder(folder: Path) -> list[LabelingFunction]:
    """Load every LF of a folder, in file order, then in order of definition.

    Parameters
    ----------
    folder
        A project's ``lfs/``; subfolders may hold data and are not searched for LFs.

    Returns
    -------
    LFs with ``digest`` and ``origin`` set; empty if the folder holds none. A template without a
    name gets the name of its variable.

    Raises
    ------
    LabelingError
        If the folder is missing, a file is not Python or TOML or raises while it is loaded, or two
        LFs have one name. The message names file and line of everything that is wrong.

    Notes
    -----
    Runs the files, so it costs what they import; itself it imports neither torch, Snorkel nor
    scikit-learn. A folder may be loaded again after an edit; earlier LFs stay usable.
    """
    lfs, broken = load_readable(folder)
    if broken:
        _forget(_package_of(folder))
        raise_broken(broken)
    return lfs


def load_readable(folder: Path) -> tuple[list[LabelingFunction], list[LabelingError]]:
    """Load what can be loaded, as :func:`load_folder` does, and say what is wrong with the rest.

    Returns
    -------
    The LFs that are in order, and an error for each file that cannot be read, each TOML table that
    declares no LF and each LF whose name an earlier one has.

    Raises
    ------
    LabelingError
        If the folder is missing.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise LabelingError(
            f"expected a folder of LF files at {folder}, but there is none; "
            "create it or correct [vote] folder in weaklight.toml"
        )
    syntax = FolderSyntax.parse(folder)
    loaded: list[LabelingFunction] = []
    broken = list(syntax.broken.values())
    with _LOCK:
        package = _register(syntax)
        try:
            seen: set[int] = set()
            for path in sorted([*folder.glob("*.py"), *folder.glob("*.toml")]):
                try:
                    found, wrong = _load(path, package, syntax, seen)
                except LabelingError as error:
                    found, wrong = [], [error]
                loaded += found
                broken += [error for error in wrong if error not in broken]  # its importers' too
        except BaseException:
            _forget(package)
            raise
    lfs, clashes = _told_apart(loaded)
    return lfs, [*broken, *clashes]


def raise_broken(broken: Sequence[LabelingError]) -> None:
    """Raise what :func:`load_readable` found wrong, if anything, as one error."""
    if len(broken) == 1:
        raise broken[0]
    if broken:
        found = "\n".join(map(str, broken))
        raise LabelingError(f"{len(broken)} errors in labelling functions:\n{found}")


def _load(
    path: Path, package: str, syntax: FolderSyntax, seen: set[int]
) -> tuple[Sequence[LabelingFunction], list[LabelingError]]:
    """Return the LFs of one file, and what is wrong with the others that it declares."""
    if path.suffix == ".toml" and not path.name.startswith((".", "_")):
        return toml.read(path)
    if path.stem in syntax.modules and not path.stem.startswith("_"):
        module = _import(package, path.stem, syntax.modules[path.stem])
        return _collect(module, path.stem, syntax, seen), []
    return [], []


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the files of loaded folders, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, stem = fullname.rpartition(".")
        if package not in _FOLDERS:
            return None
        if stem in _FOLDERS[package].broken:
            raise _FOLDERS[package].broken[stem]
        module = _FOLDERS[package].modules.get(stem)
        if module is None:
            return None
        return importlib.util.spec_from_file_location(fullname, module.path, loader=_Loader(module))


class _Loader(importlib.abc.Loader):
    """Runs exactly the text whose digest was taken, without a bytecode cache."""

    def __init__(self, syntax: ModuleSyntax) -> None:
        self._syntax = syntax

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._syntax.source, str(self._syntax.path), "exec"), module.__dict__)


def _register(syntax: FolderSyntax) -> str:
    """Make the folder importable under its private name, forgetting an earlier load."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    package = _package_of(syntax.folder)
    _forget(package)
    module = ModuleType(package, f"Labelling functions of {syntax.folder}.")
    module.__path__ = []
    sys.modules[package] = module
    _FOLDERS[package] = syntax
    return package


def _package_of(folder: Path) -> str:
    digest = hashlib.sha256(str(Path(folder).resolve()).encode()).hexdigest()
    return f"_weaklight_lfs_{digest[:12]}"


def _forget(package: str) -> None:
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]
    _FOLDERS.pop(package, None)


def _import(package: str, stem: str, syntax: ModuleSyntax) -> ModuleType:
    if "." in stem:
        raise LabelingError(
            f"{syntax.path}: a file name with a dot before .py cannot be loaded; rename it"
        )
    try:
        return importlib.import_module(f"{package}.{stem}")
    except (Exception, SystemExit) as error:
        if error in _FOLDERS[package].broken.values():
            raise
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).parent == syntax.path.parent
        ]
        where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(syntax.path)
        hint = "correct it and run again"
        if isinstance(error, ModuleNotFoundError) and (
            syntax.path.with_name(f"{error.name}.py").is_file()
        ):
            hint = f"to use a file beside it, write `from .{error.name} import ...` with the dot"
        kind = "" if isinstance(error, LabelingError) else f"{type(error).__name__}: "
        raise LabelingError(f"{where}: loading stopped with {kind}{error}; {hint}") from error


def _collect(
    module: ModuleType, stem: str, syntax: FolderSyntax, seen: set[int]
) -> list[LabelingFunction]:
    """Return the LFs that this file binds, leaving out those that it imported."""
    file = syntax.modules[stem]
    _check_overwritten(file)
    found = []
    for variable, value in list(vars(module).items()):
        lf = _as_lf(value)
        if lf is None or variable in file.imported or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(lf, Template):
            lf = dataclasses.replace(lf, name=lf.name or variable).beside(syntax.folder)
            digest = lf.own_digest()
        else:
            digest = syntax.digest(stem, variable, lf.options())
        origin = Origin(syntax.folder, file.path.name, file.line_of(variable))
        found.append(dataclasses.replace(lf, digest=digest, origin=origin))
    return found


def _as_lf(value: Any) -> LabelingFunction | None:
    if isinstance(value, LabelingFunction):
        return value
    for cls in type(value).__mro__:
        if cls.__module__.startswith("snorkel.") and "LabelingFunction" in cls.__name__:
            description = first_sentence(getattr(value, "_f", value).__doc__)
            return SnorkelFunction(name=value.name, description=description, function=value)
    return None


def _check_overwritten(file: ModuleSyntax) -> None:
    """Refuse two decorated functions of one name: the first would vanish without a word."""
    for name, statements in file.bindings.items():
        decorated = [s for s in statements if getattr(s, "decorator_list", None)]
        if len(decorated) > 1:
            lines = " and ".join(str(statement.lineno) for statement in decorated)
            raise LabelingError(
                f"{file.path}: {name} is defined on lines {lines}, so only the last would count; "
                "rename one"
            )


def _told_apart(
    lfs: Iterable[LabelingFunction],
) -> tuple[list[LabelingFunction], list[LabelingError]]:
    """Return the first LF of each name, and an error for each further one."""
    found: dict[str, LabelingFunction] = {}
    clashes = []
    for lf in lfs:
        first = found.setdefault(lf.name, lf).origin
        if found[lf.name] is not lf:
            second = lf.origin
            assert first is not None and second is not None
            clashes.append(
                LabelingError(
                    f"two LFs are called {lf.name!r}: {first.file}, line {first.line} and "
                    f"{second.file}, line {second.line}; names must be unique, rename one"
                )
            )
    return list(found.values()), clashes
