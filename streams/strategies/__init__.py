"""Strategies: plug-ins look at bars, conditions and accepted signals, and wish; they never size and never trade.

Reads `strategies.inbox`. Writes `accounts.inbox`, `strategies.events`. Keeps, for each instrument, its newest condition
and bar, and the standing and memory of every instance on it; shared, all deployments.
"""
