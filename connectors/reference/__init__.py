"""The reference source: what is known of calendars, as records."""
