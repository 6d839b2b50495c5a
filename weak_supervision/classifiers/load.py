"""Read a saved head of any kind.

Try it: ``load_head(Path("head")).classes_``.
"""

from __future__ import annotations

from pathlib import Path

from weak_supervision.classifiers.base import HEAD_FILES, Head, read_about
from weak_supervision.classifiers.linear_head import LinearHead
from weaklight.errors import ArtifactError

__all__ = ["load_head"]


def load_head(folder: Path) -> Head:
    """Return the head in ``folder``; ``head.json`` says of which kind it is.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged, or the kind is unknown.
    """
    from weak_supervision.noise.robust_head import RobustHead  # which imports this package

    kinds: dict[str, type[Head]] = {head.kind: head for head in (LinearHead, RobustHead)}
    try:
        kind = read_about(folder)["kind"]
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"a trained head is {' and '.join(HEAD_FILES)} in {folder}, but reading failed: "
            f"{error!r}; run the train stage again"
        ) from error
    if kind not in kinds:
        raise ArtifactError(
            f"{folder} holds a head of kind {kind!r}, but this version reads {sorted(kinds)}; "
            "update Weaklight or run the train stage again"
        )
    return kinds[kind].load(folder)
