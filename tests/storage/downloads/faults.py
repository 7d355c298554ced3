"""Failures of a web server, as functions that respond to one request."""

import gzip
import socket
import struct

CONTENT = bytes(range(256)) * 40
OTHER = CONTENT[::-1]
SIZE = len(CONTENT)
TAG, OTHER_TAG = '"one"', '"two"'


def part(start, end, total=SIZE):
    return {"Content-Range": f"bytes {start}-{end - 1}/{total}", "Content-Length": end - start}


def status(code, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def fault(handler, content, tag, start):
        handler.respond(code, named, b"<p>an error page</p>")

    return fault


def reset(handler, content, tag, start):
    """Reset the connection without a response."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def closed(handler, content, tag, start):
    """Close the connection without a response."""


def garbage(handler, content, tag, start):
    handler.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")


def stalled(handler, content, tag, start):
    handler.respond(200, {"Content-Length": SIZE, "ETag": tag}, content[:1000])
    handler.site.over.wait(10)


def silent(handler, content, tag, start):
    handler.site.over.wait(10)


def short_200(handler, content, tag, start):
    handler.respond(200, {"Content-Length": SIZE, "ETag": tag}, content[:5000])


def reset_in_body(handler, content, tag, start):
    handler.respond(200, {"Content-Length": SIZE, "ETag": tag}, content[:5000])
    reset(handler, content, tag, start)


def empty_200(handler, content, tag, start):
    handler.respond(200, {"ETag": tag})


def unrequested_part(handler, content, tag, start):
    handler.respond(206, {**part(0, 5000), "ETag": tag}, content[:5000])


def other_part(handler, content, tag, start):
    handler.respond(206, {**part(7, 5000), "ETag": tag}, content[7:5000])


def part_without_range(handler, content, tag, start):
    handler.respond(206, {"ETag": tag}, content[start:])


def part_of_unknown_size(handler, content, tag, start):
    where = {"Content-Range": f"bytes {start}-{SIZE - 1}/*"}
    handler.respond(206, {**where, "ETag": tag}, content[start:])


def part_that_ends_before_it_begins(handler, content, tag, start):
    where = {"Content-Range": f"bytes {start}-{start - 1}/{SIZE}"}
    handler.respond(206, {**where, "ETag": tag}, content[start:])


def short_part(handler, content, tag, start):
    """A server may send less than the requested range."""
    handler.respond(206, {**part(start, start + 100), "ETag": tag}, content[start : start + 100])


def broken_part(handler, content, tag, start):
    handler.respond(206, {**part(start, SIZE), "ETag": tag}, content[start : start + 100])


def contradicting_lengths(handler, content, tag, start):
    headers = {**part(start, SIZE), "Content-Length": 100, "ETag": tag}
    handler.respond(206, headers, content[start : start + 100])


def part_of_another_version(handler, content, tag, start):
    handler.respond(206, {**part(start, SIZE), "ETag": OTHER_TAG}, OTHER[start:])


def part_of_an_unnamed_version(handler, content, tag, start):
    handler.respond(206, part(start, SIZE), OTHER[start:])


def part_of_a_longer_version(handler, content, tag, start):
    longer = OTHER + OTHER
    handler.respond(206, {**part(start, len(longer), len(longer)), "ETag": tag}, longer[start:])


def chunks(*pieces, end=b"0\r\n\r\n"):
    def fault(handler, content, tag, start):
        headers = {"Transfer-Encoding": "chunked", "Content-Length": None, "ETag": tag}
        handler.respond(200, headers)
        for begin, stop in pieces:
            piece = content[begin:stop]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(end)

    return fault


def long_chunked_part(handler, content, tag, start):
    where = part(start, SIZE)["Content-Range"]
    headers = {"Transfer-Encoding": "chunked", "Content-Length": None, "ETag": tag}
    handler.respond(206, {**headers, "Content-Range": where})
    piece = content[start:] + b"more"
    handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece))


def compressed(handler, content, tag, start):
    handler.respond(200, {"Content-Encoding": "gzip", "ETag": tag}, gzip.compress(content))


def of_unknown_length(handler, content, tag, start):
    handler.respond(200, {"Content-Length": None, "ETag": tag}, content[:5000])


def web_page(handler, content, tag, start):
    handler.respond(200, {"Content-Type": "text/html"}, b"<title>Sign in</title>")


def redirect_to_itself(handler, content, tag, start):
    handler.respond(302, {"Location": handler.path})


# Failures of the first response after which a retry succeeds.
TRANSIENT = {
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "503 with a date": status(503, Retry_After="Fri, 01 Jan 2021 00:00:00 GMT"),
    "503 with an invalid wait": status(503, Retry_After="soon"),
    "504": status(504),
    "408": status(408),
    "425": status(425),
    "429": status(429),
    "429 with a wait": status(429, Retry_After="0"),
    "416 at first": status(416, Content_Range=f"bytes */{SIZE}"),
    "reset": reset,
    "closed": closed,
    "garbage": garbage,
    "silent": silent,
    "stalled": stalled,
    "short 200": short_200,
    "reset in the body": reset_in_body,
    "empty 200": empty_200,
    "other part": other_part,
    "part without range": part_without_range,
    "part of unknown size": part_of_unknown_size,
    "no chunk": chunks(),
    "broken chunks": chunks((0, 5000), end=b""),
    "chunk of a wrong length": chunks((0, 5000), end=b"fff\r\n" + CONTENT[5000:6000]),
    "chunk without a length": chunks((0, 5000), end=b"zz\r\n"),
}
# Failures of the response to a request for the missing part.
TRANSIENT_LATER = {
    "500": status(500),
    "416 of a shorter file": status(416, Content_Range="bytes */17"),
    "416 without a size": status(416),
    "reset": reset,
    "stalled": stalled,
    "other part": other_part,
    "part without range": part_without_range,
    "part of unknown size": part_of_unknown_size,
    "part that ends before it begins": part_that_ends_before_it_begins,
    "short part": short_part,
    "broken part": broken_part,
    "contradicting lengths": contradicting_lengths,
    "part of another version": part_of_another_version,
    "part of an unnamed version": part_of_an_unnamed_version,
    "part of a longer version": part_of_a_longer_version,
    "long chunked part": long_chunked_part,
    "all from the start": lambda handler, content, tag, _: handler.send_file(content, tag, 0),
}
FINAL = {
    "204": (status(204), "responds with 204"),
    "401": (status(401), "responds with 401"),
    "403": (status(403), "responds with 403"),
    "404": (status(404), "responds with 404"),
    "410": (status(410), "responds with 410"),
    "compressed": (compressed, r"compresses the file \(gzip\)"),
    "web page": (web_page, "sends a web page"),
    "unknown length": (of_unknown_length, "does not send the length"),
    "redirects in a circle": (redirect_to_itself, "redirects"),
}
