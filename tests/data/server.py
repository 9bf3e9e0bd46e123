"""A web server on this machine that serves files from memory, and misbehaves on request."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"


class Server:
    """Files by path, and for each path what to do wrong how many times; `asked` lists (path, Range) of every request.

    Faults: "drop" cuts the connection at 30 % of what is asked for, "500" answers so, "no-range" ignores ranges,
    "short" declares and sends two thirds, "lie" declares all and sends two thirds, "page" sends a login page, and a
    path starting with "/" redirects there.
    """

    def __init__(self):
        self.files, self.faults, self.asked = {}, {}, []
        self.pause, self.mark = 0.0, True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((self.path, self.headers.get("Range")))
                answer(server, self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def fault(self, path):
        kind, left = self.faults.get(path, ("", 0))
        if left <= 0:
            return ""
        self.faults[path] = kind, left - 1
        return kind

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def answer(server, request):
    """Answer one request as the path's fault says."""
    fault = server.fault(request.path)
    if fault.startswith("/"):
        return head(request, 302, {"Location": server.url(fault), "Content-Length": "0"})
    if fault == "500":
        return head(request, 500, {"Content-Length": "0"})
    if request.path not in server.files:
        return head(request, 404, {"Content-Length": "0"})
    data = PAGE if fault == "page" else server.files[request.path]
    mark = {"ETag": f'"{hash(data)}"'} if server.mark else {}
    begin, status = 0, 200
    asked = request.headers.get("Range")
    if asked and fault not in ("no-range", "page") and request.headers.get("If-Range") in (None, mark.get("ETag")):
        begin = int(asked.removeprefix("bytes=").rstrip("-"))
        if begin >= len(data):
            return head(request, 416, {"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
        status, mark["Content-Range"] = 206, f"bytes {begin}-{len(data) - 1}/{len(data)}"
    body = data[begin:]
    sent = {"drop": int(len(body) * 0.3), "short": 2 * len(body) // 3, "lie": 2 * len(body) // 3}.get(fault, len(body))
    declared = sent if fault == "short" else len(body)
    kind = "text/html" if fault == "page" else "application/zip"
    head(request, status, {**mark, "Content-Length": str(declared), "Content-Type": kind})
    for start in range(0, sent, 1 << 14):
        request.wfile.write(body[start : min(start + (1 << 14), sent)])
        if server.pause:
            time.sleep(server.pause)
    request.close_connection = True
    return None


def head(request, status, headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
