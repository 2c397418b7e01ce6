"""ClickHouse: every record that travels, in typed tables, and views with plain names for those who ask.

`tables` says what a record becomes, `migrate` makes it so, `sink` fills it, `views/` holds the questions' words.
"""
