"""What an encoder's features are worth: probes, few labels, fine-tuning, transfer and layers.

Try it: ``linear_probe(train, train_labels, test, n_classes=10).proba.argmax(1)``.
"""

from ssl_models.evaluation.linear import LinearProbe, linear_probe

__all__ = [
    "LinearProbe",
    "linear_probe",
]
