"""Market data in: recorded files and, later, live venues. Everything a feed says goes to `market.ticks` as columns."""
