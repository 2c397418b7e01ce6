"""Sources: plain, idempotent writers to inboxes: the clock and the marks relay."""
