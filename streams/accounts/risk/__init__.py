"""Risk: sizes wishes, gates orders, arms stops, and says what an account may do. Pure; fails closed."""
