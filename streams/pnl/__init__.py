"""P&L: what each account, strategy, signal provider and instrument earned, and how well.

Reads `accounts.events`. Writes `pnl`, `dead.letters`. Keeps, for each account, its equity and daily returns as running
sums, one line for each member and instrument, and the totals of each member.
"""
