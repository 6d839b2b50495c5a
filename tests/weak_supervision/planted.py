"""Votes and features with a truth that we planted."""

import numpy as np


def planted(
    *, n=2000, n_classes=3, accuracies=(0.9, 0.8, 0.7, 0.6, 0.5), coverage=0.7, d=0, seed=0
):
    """Return votes (n, m), the truth (n,) and features (n, d) around one centre a class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    votes = np.full((n, len(accuracies)), -1)
    for lf, accuracy in enumerate(accuracies):
        wrong = (truth + rng.integers(1, n_classes, n)) % n_classes
        said = np.where(rng.random(n) < accuracy, truth, wrong)
        votes[:, lf] = np.where(rng.random(n) < coverage, said, -1)
    centres = rng.normal(size=(n_classes, d))
    features = (centres[truth] + rng.normal(size=(n, d))).astype(np.float32)
    return votes, truth, features
