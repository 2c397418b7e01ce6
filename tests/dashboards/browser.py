"""A headless Chromium that draws a page at any width, spoken to by its own protocol.

No window of Chromium is narrower than 500 px, so a phone's width is asked of the protocol, not of the window.
"""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_S = 120


class Tab:
    """One page in the browser."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._asked = 0
        self.complaints: list[Any] = []

    def show(self, path: Path, width: int) -> None:
        """Load the file at this width, and return when it stands."""
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 640
        )
        self._ask("Page.navigate", url=path.as_uri())
        ends = time.monotonic() + WAIT_S
        while self.value("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < ends, "the page does not stand"
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """What the expression is worth in the page."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._asked += 1
        self._socket.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(timeout=WAIT_S))
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(said["params"])
            if said.get("id") == self._asked:
                assert "error" not in said, said
                return dict(said["result"])


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, whose profile lies in the folder."""
    profile = folder / "profile"
    (profile / "DevToolsActivePort").unlink(missing_ok=True)
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(PATH), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        port, _ = _written(profile / "DevToolsActivePort", process)
        with connect(_address(int(port)), max_size=None, open_timeout=WAIT_S) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _written(path: Path, process: subprocess.Popen[bytes]) -> list[str]:
    """Port and path of the browser's own address, once it has written both."""
    ends = time.monotonic() + WAIT_S
    while not (path.exists() and len(path.read_text().split()) == 2):
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        assert time.monotonic() < ends, "the browser does not answer"
        time.sleep(0.1)
    return path.read_text().split()


def _address(port: int) -> str:
    """The WebSocket of the tab that is open."""
    ends = time.monotonic() + WAIT_S
    while True:
        tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=WAIT_S, trust_env=False).json()
        for tab in tabs:
            if tab["type"] == "page":
                return str(tab["webSocketDebuggerUrl"])
        assert time.monotonic() < ends, "the browser opens no tab"
        time.sleep(0.1)
