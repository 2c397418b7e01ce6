"""Positions: the netting ledger. Pure arithmetic over fills, knows no account and no time."""
