"""Tables, pages and figures: Markdown, HTML, CSV and terminal output from the same rows."""

from tf_rnn.reporting.page import Bullets, Code, Heading, Image, Page, Plain
from tf_rnn.reporting.table import Table, number

__all__ = ["Bullets", "Code", "Heading", "Image", "Page", "Plain", "Table", "number"]
