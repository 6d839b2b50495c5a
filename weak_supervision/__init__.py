"""From votes to labels to classifiers; import the module that you need."""

__all__: list[str] = []
