"""A WebSocket service. It sends back what it gets, and obeys a few words."""

import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


def talk(connection):
    try:
        for message in connection:
            word, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
            if word == "headers":
                headers = [[name.lower(), value] for name, value in connection.request.headers.raw_items()]
                connection.send(json.dumps({"path": connection.request.path, "headers": headers}))
            elif word == "ping":
                connection.ping(rest).wait()
                connection.send(f"ponged {rest}")
            elif word == "close":
                code, _, reason = rest.partition(" ")
                connection.close(int(code), reason)
            else:
                connection.send(message)
    except ConnectionClosed:
        pass
    connection.close()
    closed = connection.protocol.close_rcvd
    print(f"over {connection.request.path} {closed.code if closed else None} {closed.reason if closed else ''}")


def choose(_connection, offered):
    return "chat.v2" if "chat.v2" in offered else None


# Its own pings give up after 20 seconds, which a busy machine needs for 8 MiB.
options = {"select_subprotocol": choose, "max_size": 64 << 20, "ping_interval": None}
with serve(talk, "127.0.0.1", 0, **options) as server:
    print(f"listening on {server.socket.getsockname()[1]}")
    server.serve_forever()
