"""Signals: an AI's opinion is accepted, or refused with a code.

Reads `signals.inbox`. Writes `strategies.inbox`, `signals.refused`. Keeps, for each instrument, what every known
provider said of it last; shared, the providers, the instruments and the time.
"""
