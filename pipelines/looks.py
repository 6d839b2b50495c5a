"""How often gold of the test split was looked at: each new look makes it less of a test.

Whoever changes a labelling function after reading the test accuracy, and reads it again, has begun
to tune on test. It cannot be forbidden, but it is counted in the run record and said aloud.
"""

from __future__ import annotations

from pipelines.project import Project

__all__ = ["looks_at_test"]


def looks_at_test(project: Project, digest: str) -> int:
    """Return how many different evaluations read the test gold that this one read, itself included.

    Parameters
    ----------
    digest
        Of the `evaluate` artifact at hand; 0 is returned where test has no gold.
    """
    store = project.store
    this = store.manifest("evaluate", digest)
    if this.metrics.get("majority_vote_accuracy") is None:
        return 0
    others = {run.artifacts.get("evaluate") for run in project.runs()} - {None, digest}
    same_gold = [
        other
        for other in others
        if store.has("evaluate", str(other))
        and store.manifest("evaluate", str(other)).inputs["gold_test"] == this.inputs["gold_test"]
    ]
    return 1 + len(same_gold)
