"""Sheets as values, whoever reads them: CSV and .xlsx as cells, numbers and days as people type them. Pure.

`reading` makes cells of bytes; `cells` is what stands in them; `numbers`, `dates` and `units` read their texts.
"""
