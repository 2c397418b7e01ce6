"""The rules of the room: what is refused or flagged, what was expected, and what bars tell of volatility."""
