"""Numbers published by others, computed again by the product: `python -m tests.oracles FILE...`."""
