"""The report: one account's figures as one HTML page that opens anywhere, with no server and no network.

`page` is what a page holds, `values` how a figure is written, `html` the writer. `vendor/` holds the chart library.
"""
