"""What an encoder's features are worth: probes, few labels, fine-tuning, transfer and layers.

Try it: ``linear_probe(train, train_labels, test, n_classes=10).proba.argmax(1)``.
"""

from ssl_models.evaluation.few_labels import FewLabels, few_labels
from ssl_models.evaluation.finetune import FinetuneConfig, Finetuned, finetune
from ssl_models.evaluation.layers import layer_features, layer_sweep
from ssl_models.evaluation.linear import LinearProbe, linear_probe
from ssl_models.evaluation.projection import load_projector, projection_head
from ssl_models.evaluation.scores import FeatureScores, Task, accuracy, score_features
from ssl_models.evaluation.transfer import random_encoder, transfer

__all__ = [
    "FeatureScores",
    "FewLabels",
    "FinetuneConfig",
    "Finetuned",
    "LinearProbe",
    "Task",
    "accuracy",
    "few_labels",
    "finetune",
    "layer_features",
    "layer_sweep",
    "linear_probe",
    "load_projector",
    "projection_head",
    "random_encoder",
    "score_features",
    "transfer",
]
