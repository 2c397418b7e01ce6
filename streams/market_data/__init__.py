"""Market data: what feeds say becomes bars, marks and conditions that can be trusted, and findings where it cannot.

Reads `market.ticks`. Writes `market.bars`, `market.quality`, `market.marks`, `strategies.inbox`. Keeps, for each
instrument, how far each feed has told, the bars being formed, and windows of moves, ranges and volatility; shared, the
instruments, their calendars and how long each feed has been alive.
"""
