"""The commands of `quantumleap`, a module for each subject. Heavy imports are inside functions: help must be quick."""
