"""Replay: recorded markets through all rooms, in one process (`backtest`) or on real servers (`run`), with one result.

Composition only: what is opened before the first step, who takes turns, and what came out.
"""
