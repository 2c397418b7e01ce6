"""AI providers: the SDK by which they publish signals, and one that learns while it publishes."""
