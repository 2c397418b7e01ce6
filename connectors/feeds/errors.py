"""What can be wrong with recorded market data.

FeedError
├── UnknownDataSet     no data set of that name, and no folder or file of that path
├── BadDataSet         the data set's description or files are not what they say they are
└── ImportRefused      a file has rows that cannot be used; nothing was imported
"""

from connectors.feeds.problems import FileReport


class FeedError(Exception):
    """Anything wrong with recorded market data; the message says what, where and what to do."""


class UnknownDataSet(FeedError):
    """No data set of that name, and no folder of that path."""


class BadDataSet(FeedError):
    """The data set's description or files are not what they say they are."""


class ImportRefused(FeedError):
    """A file has rows that cannot be used; nothing was imported. The message names the first, `reports` all of them."""

    def __init__(self, message: str, reports: list[FileReport]) -> None:
        super().__init__(message)
        self.reports = reports
