"""Boards, alerts and rules: held to the records, the metrics and real servers."""
