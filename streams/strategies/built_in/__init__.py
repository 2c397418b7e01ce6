"""Strategies that come with the engine: examples that trade, each a pure class of one file."""
