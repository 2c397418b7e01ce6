"""Fail-stop: end the process at once when it is no longer sure of what it has done. A supervisor starts it again."""

import faulthandler
import os
import traceback
from typing import NoReturn

IN_DOUBT = 70
"""Exit code: start again; what is durable is right, and the next start reads it."""
AWAY = 75
"""Exit code: start again; a server that is needed to begin did not answer."""
REFUSED = 78
"""Exit code: starting again will not help; the message says what to mend."""


def fail_stop(reason: str, error: BaseException | None = None, code: int = IN_DOUBT) -> NoReturn:
    """Say why and where every thread stood, on descriptor 2, and end the process without any clean-up.

    Under a Faust worker `sys.stderr` is a log proxy without a descriptor, so it is not used; and nothing that goes
    wrong while talking keeps the process alive.
    """
    try:
        os.write(2, f"FAIL-STOP ({code}): {reason}\n".encode())
        if error is not None:
            os.write(2, "".join(traceback.format_exception(error)).encode())
        if code == IN_DOUBT:
            faulthandler.dump_traceback(file=2, all_threads=True)
    finally:
        os._exit(code)
