"""A little web server with HTTP ranges, and with the faults that downloads meet."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """What the server publishes, and how it misbehaves.

    Attributes:
        url: Its address.
        files: Content by name.
        tags: ETag by name.
        requests: (name, Range) of each request so far.
        cut: By name, the bytes after which each answer breaks off.
        ranges: Whether it knows ranges.
    """

    def __init__(self, url):
        self.url = url
        self.files = {}
        self.tags = {}
        self.requests = []
        self.cut = {}
        self.ranges = True
        self.types = {}
        self.shift = 0


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self):
        site, name = self.site, self.path.lstrip("/")
        asked = self.headers.get("Range")
        site.requests.append((name, asked))
        if name not in site.files:
            self.send_error(404)
            return
        content, tag = site.files[name], site.tags.get(name)
        known = self.headers.get("If-Range") == tag
        start = int(asked[6:-1]) if asked and known and site.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            at = start + site.shift
            self.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", site.types.get(name, "application/octet-stream"))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(content[start : start + site.cut.get(name, len(content))])

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
        server.shutdown()
        thread.join()
