"""An evaluation as pages for people: one HTML file with its figures, and Markdown."""

from training.report.html import write_html
from training.report.markdown import markdown

__all__ = ["markdown", "write_html"]
