"""Tables, pages and figures: Markdown, CSV and terminal output from the same rows."""

from tf_rnn.reporting.page import Code, Heading, Image, Page, Plain
from tf_rnn.reporting.table import Table, number

__all__ = ["Code", "Heading", "Image", "Page", "Plain", "Table", "number"]
