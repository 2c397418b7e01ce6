"""Accounts: sizes and gates every wish, follows every order, keeps every position, and says what each account may do.

Reads `accounts.inbox`. Writes `orders.commands`, `accounts.events`, `fills`, `accounts.snapshots`, `dead.letters`.
Keeps one `Account` for each account, in parts: what it is, its sums, its flow, each position, each order, each history.
"""
