"""Headless Chromium, driven over its DevTools protocol. It reaches nothing but one port of this machine."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile

from conversation import converse
from websockets.sync.client import connect

PATIENCE = 60

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
]


class Browser:
    """One page of one browser."""

    def __init__(self, port, spki):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = ["chromium", *FLAGS, f"--user-data-dir={self.home.name}/profile"]
        command += [f"--host-resolver-rules=MAP * 127.0.0.1:{port}", f"--ignore-certificate-errors-spki-list={spki}"]
        self.process = subprocess.Popen(
            [*command, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": self.home.name},
            start_new_session=True,
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.startswith("DevTools listening on "):
                break
        else:
            raise RuntimeError("chromium does not start:\n" + "".join(said))
        # What it has to say later must not fill the pipe.
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        self.socket = connect(line.split()[-1], max_size=None, compression=None, proxy=None).__enter__()
        self.numbers, self.events, self.page = itertools.count(1), [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.page = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Network", "Runtime"]:
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.page is not None:
            message["sessionId"] = self.page
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(PATIENCE))
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def event(self, method, fits=lambda _: True):
        """The first event of this kind since the last navigation, once there is one."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event.get("method") == method and fits(event["params"]):
                    return event["params"]
            seen = len(self.events)
            self.events.append(json.loads(self.socket.recv(PATIENCE)))

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.home.cleanup()


browser = None


def start(port, spki):
    """All hosts are at this port; a certificate with this key is trusted."""
    global browser
    browser = Browser(port, spki)


def cookie(url, pair):
    """A cookie that any site's page has the browser send: no help is expected of SameSite."""
    name, _, value = pair.partition("=")
    answer = browser.call(
        "Network.setCookie", url=url, name=name, value=value, path="/", secure=True, httpOnly=True, sameSite="None"
    )
    assert answer["success"], pair


def navigate(url):
    """Opens a page, and what there is to see."""
    browser.events.clear()
    navigation = browser.call("Page.navigate", url=url)
    if "errorText" in navigation:
        return {"error": navigation["errorText"]}
    return arrived(lambda response: response["loaderId"] == navigation["loaderId"])


def submit(expression):
    """Does something that leads to another page, and what there is to see then."""
    browser.events.clear()
    evaluate(expression)
    return arrived()


def arrived(fits=lambda _: True):
    response = browser.event("Network.responseReceived", lambda one: one["type"] == "Document" and fits(one))["response"]
    browser.event("Page.loadEventFired")
    text = evaluate("document.body.innerText")
    return {"status": response["status"], "protocol": response["protocol"], "type": response["mimeType"], "text": text}


def evaluate(expression):
    """The value of an expression; that of a promise once it is kept."""
    answer = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    if "exceptionDetails" in answer:
        raise RuntimeError(json.dumps(answer["exceptionDetails"]))
    return answer["result"].get("value")


def websocket_handshake():
    """The status by which the page's WebSocket was agreed to: 101, or 200 over HTTP/2."""
    return browser.event("Network.webSocketHandshakeResponseReceived")["response"]["status"]


actions = [start, cookie, navigate, submit, evaluate, websocket_handshake]
try:
    converse({action.__name__: action for action in actions})
finally:
    if browser is not None:
        browser.close()
sys.exit(0)
