"""A service that knows nothing of TLS: `service.py PORT` says who asks, as its sidecar tells it; `service.py PORT URL` passes
on what it gets from there."""

import http.server
import json
import sys
import urllib.error
import urllib.request

FROM = sys.argv[2] if len(sys.argv) > 2 else None


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = self.orders() if FROM is None else self.ask()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def orders(self):
        told = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-auth-")}
        return 200, (json.dumps({"orders": [7, 8], "asked by": told}) + "\n").encode()

    def ask(self):
        try:
            with urllib.request.urlopen(FROM + self.path) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

    def log_message(self, *_):
        pass


# No proxy of the environment stands between a service and its sidecar.
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service)
print("listening on", server.server_port, flush=True)
server.serve_forever()
