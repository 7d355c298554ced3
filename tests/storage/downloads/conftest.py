"""A small web server with HTTP ranges that can simulate failures."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """Content and failures of the server.

    Attributes:
        url: Address of the server.
        files: Content by name.
        tags: ETag by name.
        requests: (name, Range) of each request so far.
        cut: By name, the number of bytes after which each response is truncated.
        ranges: Whether the server supports ranges.
        types: Content-Type by name.
        faults: Functions of a handler, content, ETag and start; each responds to one request
            instead of the server, in order.
        always: Such a function for all further requests; None for correct responses.
        over: Event that is set when the server ends.
    """

    def __init__(self, url):
        self.url = url
        self.files = {}
        self.tags = {}
        self.requests = []
        self.cut = {}
        self.ranges = True
        self.types = {}
        self.faults = []
        self.always = None
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        site, name = self.site, self.path.lstrip("/")
        requested = self.headers.get("Range")
        site.requests.append((name, requested))
        if name not in site.files:
            self.send_error(404)
            return
        content, tag = site.files[name], site.tags.get(name)
        known = self.headers.get("If-Range") == tag
        start = int(requested[6:-1]) if requested and known and site.ranges else 0
        fault = site.faults.pop(0) if site.faults else site.always
        if fault:
            fault(self, content, tag, start)
        elif start >= len(content):
            self.respond(416, {"Content-Range": f"bytes */{len(content)}"})
        else:
            self.send_file(content, tag, start)

    def send_file(self, content, tag, start):
        headers = {"Content-Length": len(content) - start}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        name = self.path.lstrip("/")
        headers["Content-Type"] = self.site.types.get(name, "application/octet-stream")
        end = start + self.site.cut.get(name, len(content))
        self.respond(206 if start else 200, {**headers, "ETag": tag}, content[start:end])

    def respond(self, status, headers=None, body=b""):
        """Send headers, except those that are None, and a body that need not match them."""
        headers = {"Content-Length": len(body), "Connection": "close", **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    handler = type("SiteHandler", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler.site
        handler.site.over.set()
        server.shutdown()
        thread.join()
