"""Brokers: those who trade for us, each behind the `Broker` port; `opening` makes them from what an operator named."""
