"""A small read-only site over the performance database; :mod:`headroom.report.serve.server` runs it."""
