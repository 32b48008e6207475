"""A WebSocket client with several connections, each by a name of its own."""

import contextlib
import random
import ssl

from conversation import converse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE = 60
connections = {}
all_open = contextlib.ExitStack()


def open(name, url, ca, headers={}, subprotocols=None):
    try:
        connecting = connect(
            url,
            ssl=ssl.create_default_context(cafile=ca),
            additional_headers=headers,
            subprotocols=subprotocols,
            max_size=64 << 20,
            proxy=None,
            open_timeout=PATIENCE,
            # Its own pings give up after 20 seconds, which a busy machine needs for 8 MiB.
            ping_interval=None,
        )
        connections[name] = all_open.enter_context(connecting)
    except InvalidStatus as refused:
        answer = refused.response
        return {"status": answer.status_code, "body": answer.body.decode()}
    opened = connections[name]
    extensions = [extension.name for extension in opened.protocol.extensions]
    return {"status": 101, "subprotocol": opened.subprotocol, "extensions": extensions}


def tell(name, text):
    connections[name].send(text)
    return connections[name].recv(PATIENCE)


def echo_binary(name, size, fragments):
    """Whether bytes come back as they were sent, in so many fragments."""
    sent = random.Random(size).randbytes(size)
    step = -(-size // fragments)
    pieces = [sent[at : at + step] for at in range(0, size, step)]
    connections[name].send(pieces if fragments > 1 else sent)
    return connections[name].recv(PATIENCE) == sent


def echo_text(name, text, fragments):
    """The same for text, of which a fragment is a character."""
    connections[name].send(list(text) if fragments else text)
    return connections[name].recv(PATIENCE) == text


def burst(name, count):
    """Whether as many messages come back in their order, all sent before the first is read."""
    for number in range(count):
        connections[name].send(str(number))
    return all(connections[name].recv(PATIENCE) == str(number) for number in range(count))


def ping(name, payload):
    return connections[name].ping(payload).wait(PATIENCE)


def close(name, code, reason):
    """How the other side answers a close frame."""
    connections[name].close(code, reason)
    return ended(connections[name])


def wait_for_end(name, say=None):
    """How the other side ends it, after `say` has been said to it."""
    try:
        if say is not None:
            connections[name].send(say)
        while True:
            connections[name].recv(PATIENCE)
    except ConnectionClosed:
        return ended(connections[name])


def ended(connection):
    frame = connection.protocol.close_rcvd
    return {"code": frame.code, "reason": frame.reason} if frame else {"code": None}


actions = [open, tell, echo_binary, echo_text, burst, ping, close, wait_for_end]
with all_open:
    converse({action.__name__: action for action in actions})
