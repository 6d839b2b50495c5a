"""The report: one self-contained HTML page that a stranger can read, and its numbers as JSON."""

from pipelines.report.page import render
from pipelines.report.words import comparison_words, headline_sentence, percent, what_was_done

__all__ = ["comparison_words", "headline_sentence", "percent", "render", "what_was_done"]
