"""Without greenlets there is no simulated world, and nothing here can be collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("greenlet") else ["test_*.py"]
