"""The page of a run that goes on, served to this machine alone."""

import hashlib
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from experiments.report import page
from experiments.report.contents import Contents

LOOPBACK = "127.0.0.1"


def server(
    port: int, contents: Callable[[], Contents], state: Callable[[], dict[str, object]]
) -> ThreadingHTTPServer:
    """A server of `/`, `/state.json` and `/tables.html`; port 0 takes a free one."""
    reading = Lock()  # two tabs ask at once, and tables are read one at a time

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if (self.headers.get("Host") or "").split(":")[0] not in (LOOPBACK, "localhost"):
                self.send_error(403, "served to this machine alone")  # a page elsewhere asks
                return
            answers = {"/": self._page, "/state.json": self._state, "/tables.html": self._tables}
            answer = answers.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
                return
            with reading:
                kind, text = answer()
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def _page(self) -> tuple[str, str]:
            return "text/html", page.rendered(contents(), live=True)

        def _tables(self) -> tuple[str, str]:
            return "text/html", page.fragment(contents())

        def _state(self) -> tuple[str, str]:
            now = contents()
            shown = json.dumps([[t.name, t.detail] for t in now.tables], sort_keys=True)
            version = hashlib.sha256(shown.encode()).hexdigest()[:12]
            told = {**state(), "version": version}
            return "application/json", json.dumps(told, allow_nan=False)  # browsers read no NaN

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: a line every three seconds says nothing."""

    return ThreadingHTTPServer((LOOPBACK, port), Handler)
