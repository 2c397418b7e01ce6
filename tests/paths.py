"""Where tests find what does not ship with the project."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("QL_TEST_SHARED", ROOT.parent / "shared"))
"""Market data that may be used as fixtures but not shipped; absent in a user's clone."""
