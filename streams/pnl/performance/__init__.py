"""Performance: statistics of a series of returns or equity, and of closed trades. Pure; the room and reports use it."""
