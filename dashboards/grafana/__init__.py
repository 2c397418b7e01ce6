"""Grafana as code: `designs/` draws the boards, `alerts` the business alerts, `files` writes what Grafana reads.

`boards/` (JSON) and `provisioning/` are written by `python -m dashboards.grafana`; a test holds them to the code.
"""
