"""In and out: projects from other tools' data, and weak labels for other tools.

Try it: ``weaklight import --help`` and ``weaklight export labels --help``; the formats are in
``docs/import_export.md``.
"""

from pipelines.exchange.crowd import read_crowd
from pipelines.exchange.export import EXPORTERS, export_labels
from pipelines.exchange.hugging_face import read_hugging_face
from pipelines.exchange.image_folder import read_image_folder
from pipelines.exchange.label_studio import read_label_studio
from pipelines.exchange.labels import WeakLabels, weak_labels
from pipelines.exchange.projects import (
    Imported,
    draw_splits,
    similar_classes,
    unique_items,
    write_project,
)
from pipelines.exchange.snorkel import read_snorkel
from pipelines.exchange.spreadsheet import neutralise, restore
from pipelines.exchange.tables import Columns, read_items
from pipelines.exchange.wrench import read_wrench

__all__ = [
    "EXPORTERS",
    "Columns",
    "Imported",
    "WeakLabels",
    "draw_splits",
    "export_labels",
    "neutralise",
    "read_crowd",
    "read_hugging_face",
    "read_image_folder",
    "read_items",
    "read_label_studio",
    "read_snorkel",
    "read_wrench",
    "restore",
    "similar_classes",
    "unique_items",
    "weak_labels",
    "write_project",
]
