"""What a run did, as one page for a browser: written at its end, read from its artifacts alone."""

from headrace.reports.page import render_report
from headrace.reports.writing import newest_report, report_path, write_report

__all__ = ["newest_report", "render_report", "report_path", "write_report"]
