"""A server of this machine that answers as the Hugging Face Hub does, for one file."""

import contextlib
import hashlib
import http.server
import re
import threading

from facedancer.storage import published_files

CONTENT = bytes(range(256)) * 2**16
CHUNK = 10 * 2**20  # what the Hub's library writes at once
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENTRY = published_files.PublishedFile(
    "generator",
    "made.h5",
    "CC-BY-4.0",
    "https://example.invalid/made",
    repository="somebody/made",
    revision=COMMIT,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, for one file."""

    asked: list = []
    broken = False  # ends its first answer in the middle

    def do_HEAD(self):
        self._answer(False)

    def do_GET(self):
        self._answer(True)

    file = "made.h5"  # where the file lies

    def _answer(self, with_content):
        begin = int(
            (re.findall(r"bytes=(\d+)-", self.headers["Range"] or "") or [0])[0]
        )
        if with_content:
            Hub.asked.append((self.path, begin))
        if self.path != f"/somebody/made/resolve/{COMMIT}/{Hub.file}":
            self.send_error(404)
            return
        self.send_response(206 if begin else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"made"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        if begin:
            span = f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send_header("Content-Range", span)
        self.end_headers()
        if with_content:
            end = CHUNK + 50_000 if Hub.broken and not begin else len(CONTENT)
            self.wfile.write(CONTENT[begin:end])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """Gives the address of the server."""
    Hub.asked, Hub.broken, Hub.file = [], False, "made.h5"
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def getting(entry=ENTRY):
    """Returns a program that gets the file; it reads the address at its import."""
    return (
        "from facedancer import list_weights as program\n"
        "from facedancer.storage import published_files as p\n"
        f"p.PUBLISHED['made'] = p.{entry!r}\n"
        "from facedancer import cli\nfrom facedancer.flags import usage\nimport sys\n"
        "sys.argv = ['weights', 'get', 'made', '--accept_licence=CC-BY-4.0']\n"
        "cli.run(program.main, program.WeightsSettings)\n"
    )
