"""Why the outside could not do what was asked, named by what the caller may do now.

    ConnectorError
    ├── Unavailable     provably not done: the same call may be repeated
    ├── Refused         provably not done, and never will be: do not repeat it
    └── Ambiguous       may have been done: ask by id what became of it, never repeat it

Ports raise these and nothing else. A message says who, what, the value and the next step.
"""


class ConnectorError(Exception):
    """Someone outside did not do what was asked."""


class Unavailable(ConnectorError):
    """Provably not done, for now; the same call may be repeated.

    `retry_after_s` is the wait that the other side asked for, in seconds; None where it named none.
    `unsent` says that nothing of the call went out: there was no connection to send it on. Another route to the same
    account may carry it at once.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, unsent: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.unsent = unsent


class Refused(ConnectorError):
    """The other side understood and said no; repeating the call changes nothing.

    `code` is a stable word for the reason, ours or theirs.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Ambiguous(ConnectorError):
    """The call may have been carried out: it was sent, and no readable answer came.

    Ask by client_order_id; never send again on this alone.
    """
