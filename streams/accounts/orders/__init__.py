"""Orders: the state machine as one table, and how each report folds into an order. Pure; knows no account, no risk."""
