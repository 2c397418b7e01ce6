"""Execution: carries committed commands to brokers, and their outcomes back.

Reads `orders.commands`, `control.kill`. Writes `accounts.inbox`, `dead.letters`. Keeps nothing: what it sent is known
to the log and to the broker.
"""
