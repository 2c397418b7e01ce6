"""Those parts of Grafana's HTTP API that a push needs, as its reference describes them.

No Grafana can be had where these tests run (no Docker, and no package registry offers its server), so this stands for
it; its promises are Grafana's documented ones: ids and versions are its own, an unknown uid is 404, a save without
`overwrite` on a board of another version is 412, alert models come back with defaults added.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "glsa_test"


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Grafana:
    """One Grafana's store. `writes` counts what changed it."""

    def __init__(self) -> None:
        self.sources = {
            "quantumleap-clickhouse": {"uid": "quantumleap-clickhouse", "type": "grafana-clickhouse-datasource"}
        }
        self.folders: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes = 0
        self.broken = False
        self.url = ""

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The answer to a request. Raises Refusal."""
        if self.broken:
            raise Refusal(503, "database is locked")
        acts: tuple[tuple[str, Callable[..., Any]], ...] = (
            (r"GET /api/datasources/uid/([\w-]+)", self._source),
            (r"GET /api/folders/([\w-]+)", self._folder),
            (r"POST /api/folders", self._add_folder),
            (r"GET /api/dashboards/uid/([\w-]+)", self._board),
            (r"POST /api/dashboards/db", self._save_board),
            (r"GET /api/v1/provisioning/folder/([\w-]+)/rule-groups/([\w-]+)", self._group),
            (r"PUT /api/v1/provisioning/folder/([\w-]+)/rule-groups/([\w-]+)", self._save_group),
        )
        for pattern, act in acts:
            found = re.fullmatch(pattern, f"{method} {path}")
            if found:
                return act(*found.groups(), *([] if body is None else [body]))
        raise Refusal(404, "Not found")

    def _source(self, uid: str) -> Any:
        return self._known(self.sources, uid, "Data source not found")

    def _folder(self, uid: str) -> Any:
        return self._known(self.folders, uid, "folder not found")

    def _add_folder(self, body: dict[str, Any]) -> Any:
        if body["uid"] in self.folders:
            raise Refusal(409, "a folder with that uid exists")
        self.writes += 1
        self.folders[body["uid"]] = {**body, "id": len(self.folders) + 1}
        return self.folders[body["uid"]]

    def _board(self, uid: str) -> Any:
        return self._known(self.boards, uid, "Dashboard not found")

    def _save_board(self, body: dict[str, Any]) -> Any:
        board = deepcopy(body["dashboard"])
        before = self.boards.get(board["uid"])
        if body.get("folderUid", "") not in self.folders:
            raise Refusal(400, "folder not found")
        if before and before["meta"].get("provisioned"):
            raise Refusal(400, "Cannot save provisioned dashboard")
        if before and not body.get("overwrite") and board.get("version") != before["dashboard"]["version"]:
            raise Refusal(412, "The dashboard has been changed by someone else")
        self.writes += 1
        board["id"] = before["dashboard"]["id"] if before else len(self.boards) + 1
        board["version"] = before["dashboard"]["version"] + 1 if before else 1
        self.boards[board["uid"]] = {"dashboard": board, "meta": {"folderUid": body["folderUid"], "provisioned": False}}
        return {"uid": board["uid"], "id": board["id"], "version": board["version"], "status": "success"}

    def _group(self, folder: str, group: str) -> Any:
        return self._known(self.groups, (folder, group), "rule group not found")

    def _save_group(self, folder: str, group: str, body: dict[str, Any]) -> Any:
        if folder not in self.folders:
            raise Refusal(400, "folder not found")
        self.writes += 1
        saved = deepcopy(body)
        for number, rule in enumerate(saved["rules"], 1):
            rule |= {"id": number, "updated": "2026-01-01T00:00:00Z", "provenance": "api"}
            for question in rule["data"]:
                question["model"] |= {"intervalMs": 1000, "maxDataPoints": 43200}
        self.groups[(folder, group)] = saved
        return saved

    def _known(self, store: dict[Any, Any], key: Any, message: str) -> Any:
        if key not in store:
            raise Refusal(404, message)
        return store[key]


@contextmanager
def serving(grafana: Grafana) -> Iterator[Grafana]:
    """Answer on a free port of this machine, to those who have the token."""

    class Answers(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Refusal(401, "Invalid API key")
                status, said = 200, grafana.answer(self.command, self.path, body)
            except Refusal as refusal:
                status, said = refusal.status, {"message": str(refusal)}
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
