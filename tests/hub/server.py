"""Plays the Hugging Face hub on 127.0.0.1, well-behaved or not.

usage: server.py MODEL_FOLDER STATE_FOLDER

STATE_FOLDER/ports gets "HUB CDN TLS", the ports, once all listen (TLS: the hub again, encrypted; 0
without cert.pem and key.pem in STATE_FOLDER); STATE_FOLDER/log a line a request: "hub|cdn METHOD PATH range=.. auth=..".  The behaviour is the first part of the path, so
that one server serves every test: HF_ENDPOINT=http://127.0.0.1:HUB/MODE.  Every repository holds
the files of MODEL_FOLDER, those of 100 kB and more in "LFS", which redirects to the other port.
Python's standard library only.
"""
import hashlib
import http.server
import json
import os
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

FOLDER, STATE = sys.argv[1:3]
LFS_FROM = 100_000
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEWER = "89abcdef0123456789abcdef0123456789abcdef"
EVIL = ["../evil", "/tmp/evil", "a//b", "a/./b", "a/..", "a\nb", "a\\..\\b", "", "a/", "x" * 600]
PORTS = {}
LOCK = threading.Lock()
SEEN = {}  # (mode, path): how often it was asked for


def files():
    out = {}
    for base, _, names in os.walk(FOLDER):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as f:
                out[os.path.relpath(path, FOLDER)] = f.read()
    return out


FILES = files()


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def entry(name, data, mode):
    if mode in ("names", "noetag"):
        return {"rfilename": name}
    e = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
    if mode == "newer" and len(data) < LFS_FROM:
        e["blobId"] = git_sha1(data + b"newer")  # announced, and never what is sent
    if len(data) >= LFS_FROM:
        e["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        if mode == "badhash":
            e["lfs"]["sha256"] = "../" + e["lfs"]["sha256"][3:]
        if mode == "nosize":
            del e["lfs"]["size"]
        if mode == "huge":
            e["lfs"]["size"] = 1 << 43
        if mode == "nospace":
            e["lfs"]["size"] = 1 << 41
    return e


def answer(mode, repo):
    commit = {"newer": NEWER, "badcommit": "../../../../tmp/evil"}.get(mode, COMMIT)
    siblings = [entry(name, data, mode) for name, data in sorted(FILES.items())]
    if mode.startswith("evil"):
        siblings.append({"rfilename": EVIL[int(mode[4:])], "size": 3, "blobId": git_sha1(b"abc")})
    if mode == "noweights":
        siblings = [s for s in siblings if "lfs" not in s]
    return json.dumps({"id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False,
                       "disabled": False, "downloads": 0, "likes": 0, "tags": [],
                       "siblings": siblings}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hub"

    def log_message(self, *args):
        pass

    def send(self, status, body=b"", headers=()):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if not any(key == "Content-Length" for key, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.wfile.flush()

    def content(self, mode, data, name, n):
        """The bytes of a file, as the mode has it; n: which request for it this is, from 1."""
        first, ranges = 0, self.headers.get("Range")
        if ranges and mode not in ("norange", "cutnorange"):
            first = int(ranges.split("=")[1].split("-")[0])
        if first >= len(data) and first:
            return self.send(416)
        status = 206 if first else 200
        headers = [("ETag", '"%s"' % git_sha1(data)), ("X-Repo-Commit", COMMIT)]
        if first:
            start = first + 1 if mode == "wrongrange" else first
            headers.append(("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data))))
        body = data[first:]
        if mode == "wrongsum" or mode == "newer":
            body = bytes([body[0] ^ 1]) + body[1:]
        if mode == "short":
            body = body[:-100]
        if mode == "oversize":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body + b"and more" * 10_000)
            return self.drop()
        headers.append(("Content-Length", str(len(body))))
        cut = mode in ("cut", "norange", "wrongrange") and n == 1 or mode == "cutnorange"
        if not (cut or mode in ("loris", "slow")):
            return self.send(status, body, headers)
        self.send(status, b"", headers)
        if self.command == "HEAD":
            return
        if cut:
            self.wfile.write(body[:len(body) // 2])
            return self.drop()
        step, pause = (10, 0.2) if mode == "loris" else (100_000, 0.1)
        for at in range(0, len(body), step):
            self.wfile.write(body[at:at + step])
            self.wfile.flush()
            time.sleep(pause)

    def do_GET(self):
        where = "cdn" if self.server.server_address[1] == PORTS["cdn"] else "hub"
        url = urllib.parse.urlsplit(self.path)
        parts = urllib.parse.unquote(url.path).split("/")
        mode, rest = parts[1], "/".join(parts[2:])
        with LOCK:
            n = SEEN[mode, where, rest] = SEEN.get((mode, where, rest), 0) + 1
            with open(os.path.join(STATE, "log"), "a") as log:
                log.write("%s %s %s range=%s auth=%s\n" % (
                    where, self.command, self.path, self.headers.get("Range", ""),
                    self.headers.get("Authorization", "")))
        try:
            self.serve(where, mode, rest, n)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET

    def serve(self, where, mode, rest, n):
        if where == "cdn":
            return self.content(mode, FILES[rest], rest, n)
        if mode == "missing":
            return self.send(404, b'{"error":"Repository not found"}', [("X-Error-Code", "RepoNotFound")])
        if mode == "private" and self.headers.get("Authorization") != "Bearer hf_good":
            return self.send(401, b'{"error":"Invalid username or password."}')
        if mode == "gated":
            return self.send(403, b'{"error":"gated"}', [("X-Error-Code", "GatedRepo")])
        if mode == "busy" and n == 1 and rest.startswith("api/"):
            return self.send(429, b"slow down", [("Retry-After", "1")])
        if mode == "busy" and n == 2 and rest.startswith("api/"):
            return self.send(500, b"oops")
        if rest.startswith("api/models/"):
            return self.api(mode, rest)
        if "/resolve/" in rest:
            return self.resolve(mode, rest)
        if rest.startswith("cache/"):
            name = rest[len("cache/"):]
            return self.content(mode, FILES[name], name, n)
        self.send(404)

    def api(self, mode, rest):
        repo = "/".join(rest.split("/")[2:4])
        if "/tree/" in rest:
            tree = []
            for name, data in sorted(FILES.items()):
                e = entry(name, data, mode)
                row = {"type": "file", "path": name, "size": e["size"], "oid": e["blobId"]}
                if "lfs" in e:
                    row["lfs"] = {"oid": e["lfs"]["sha256"], "size": e["lfs"]["size"], "pointerSize": 134}
                tree.append(row)
            return self.send(200, json.dumps(tree).encode(), [("Content-Type", "application/json")])
        if mode == "html":
            return self.send(200, b"<html>Please log in to the hotel</html>")
        if mode == "bigjson":
            return self.send(200, b'{"a":"' + b"x" * (20 << 20) + b'"}')
        if mode == "loop":
            return self.send(302, b"", [("Location", self.path)])
        if mode == "tofile":
            return self.send(302, b"", [("Location", "file:///etc/passwd")])
        if mode == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(40_000)))
            return self.drop()
        self.send(200, answer(mode, repo), [("Content-Type", "application/json")])

    def resolve(self, mode, rest):
        name = rest.split("/resolve/")[1].split("/", 1)[1]
        data = FILES.get(name)
        if data is None:
            return self.send(404, b"", [("X-Error-Code", "EntryNotFound"), ("X-Repo-Commit", COMMIT)])
        common = [("X-Repo-Commit", COMMIT), ("Access-Control-Expose-Headers", "ETag")]
        if mode == "noetag":
            return self.send(200, data, common)
        if len(data) >= LFS_FROM:
            sha = hashlib.sha256(data).hexdigest()
            url = "http://127.0.0.1:%d/%s/%s?X-Amz-Signature=abc" % (PORTS["cdn"], mode, urllib.parse.quote(name))
            return self.send(302, b"Found. Redirecting to " + url.encode(),
                             common + [("Location", url), ("X-Linked-ETag", '"%s"' % sha),
                                       ("X-Linked-Size", str(len(data))), ("ETag", '"x"')])
        self.send(307, b"", common + [("Location", "/%s/cache/%s" % (mode, urllib.parse.quote(name)))])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def main():
    names = ["hub", "cdn"] + ["tls"] * os.path.exists(os.path.join(STATE, "cert.pem"))
    servers = {name: Server(("127.0.0.1", 0), Handler) for name in names}
    for name, server in servers.items():
        PORTS[name] = server.server_address[1]
    if "tls" in servers:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(STATE, "cert.pem"), os.path.join(STATE, "key.pem"))
        servers["tls"].socket = context.wrap_socket(servers["tls"].socket, server_side=True)
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(os.path.join(STATE, "ports.new"), "w") as f:
        f.write("%d %d %d\n" % (PORTS["hub"], PORTS["cdn"], PORTS.get("tls", 0)))
    os.rename(os.path.join(STATE, "ports.new"), os.path.join(STATE, "ports"))
    threading.Event().wait()


main()
