"""What the model card says is what the run did."""

from pipelines.exchange.model_card import _markdown
from pipelines.report.words import source_names

CARD = {
    "run_id": "r",
    "items": "text",
    "classes": ["ham", "spam"],
    "intended_use": "Labels e-mails.",
    "input": {"name": "features", "shape": ["batch", 8]},
    "output": {"name": "probabilities"},
    "checks": {},
    "measured": {"reason": "not measured"},
    "labels": {
        "labelling_functions": [],
        "label_model": "joint",
        "why_this_model": "",
        "per_source": {"votes": 90, "human": 7, "student": 3, "none": 4},
        "human_labels": 7,
        "cleaning": {"action": "drop", "doubted": 5, "labelled": 97, "excluded_by_people": 2},
    },
    "training": {
        "head": "mlp",
        "strategy": "forward",  # a head that was chosen brings its own
        "settings": {"strategy": "plain", "balance": "none"},
        "n_trained_on": 97,
        "temperature": 1.5,
        "notes": ["each of 7 labels by hand counts for 10 weak ones", "the head is mlp"],
    },
}


def test_the_card_names_the_strategy_that_trained_and_who_labelled() -> None:
    page = _markdown(CARD, source_names([], {}))
    assert "Head `mlp`, strategy `forward`" in page and "plain" not in page
    assert (
        "90 by the functions' votes, 7 by a person, 3 by a student of the other labels. People "
        "labelled 7 items and excluded 2." in page
    )
    assert "Each of 7 labels by hand counts for 10 weak ones. The head is mlp." in page


def test_an_accuracy_of_a_handful_of_items_is_no_number() -> None:
    def card(n: int) -> str:
        entry = {"title": "Classifier", "value": 0.8, "low": 0.3, "high": 0.99, "n": n}
        measured = {
            "headline": {"classifier_accuracy": entry},
            "calibration": {"reason": f"only {n} test items have gold"},
            "weighted_by": None,
            "test_looks": None,
        }
        return _markdown({**CARD, "measured": measured}, source_names([], {}))

    assert "* Classifier: too few test items (19) to say\n" in card(19)
    assert "0.8" not in card(19) and "* Classifier: 0.800 on test (n = 20, 95 %" in card(20)
