"""A gRPC client: one channel over TLS, and streams by names of their own."""

import queue
import random

import grpc
from conversation import converse

PATIENCE = 60
channel = None
streams = {}


def connect(target, ca):
    global channel
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    channel = grpc.secure_channel(target, credentials, options=[*unlimited, ("grpc.enable_http_proxy", 0)])


def outcome(call, reply=None):
    """How a call has ended. A `-bin` value is shown as hexadecimal digits."""

    def shown(metadata):
        return [[name, value.hex() if isinstance(value, bytes) else value] for name, value in metadata or []]

    return {
        "code": call.code().name,
        "details": call.details(),
        "reply": reply,
        "initial": shown(call.initial_metadata()),
        "trailing": shown(call.trailing_metadata()),
    }


def unary(method, text="", metadata=(), timeout=PATIENCE, gzip=False):
    compression = grpc.Compression.Gzip if gzip else None
    metadata = [(name, bytes.fromhex(value) if name.endswith("-bin") else value) for name, value in metadata]
    call = channel.unary_unary(f"/test.Echo/{method}").future(
        text.encode(), metadata=metadata, timeout=timeout, compression=compression
    )
    try:
        return outcome(call, call.result().decode())
    except grpc.RpcError:
        return outcome(call)


def echo_large(size, metadata):
    """Whether a message comes back as it was sent."""
    sent = random.Random(size).randbytes(size)
    return channel.unary_unary("/test.Echo/echo")(sent, metadata=metadata, timeout=PATIENCE) == sent


def echo_many(count, metadata):
    """Whether as many calls at once each get their own answer."""
    method = channel.unary_unary("/test.Echo/echo")
    calls = [method.future(str(number).encode(), metadata=metadata, timeout=PATIENCE) for number in range(count)]
    return all(call.result() == str(number).encode() for number, call in enumerate(calls))


def client_stream(count, size, metadata):
    messages = (bytes(size) for _ in range(count))
    return channel.stream_unary("/test.Echo/up")(messages, metadata=metadata, timeout=PATIENCE).decode()


def server_stream(method, text, metadata):
    """All messages, and how it ended."""
    call = channel.unary_stream(f"/test.Echo/{method}")(text.encode(), metadata=metadata, timeout=PATIENCE)
    replies = []
    try:
        replies.extend(reply.decode() for reply in call)
    except grpc.RpcError:
        pass
    return outcome(call, replies)


def talk(name, metadata):
    """Opens a stream both ways."""
    messages = queue.SimpleQueue()
    call = channel.stream_stream("/test.Echo/both")(iter(messages.get, None), metadata=metadata)
    streams[name] = (call, messages)


def say(name, text):
    """Says something, and what comes back before anything more is said."""
    call, messages = streams[name]
    messages.put(text.encode())
    return next(call).decode()


def finish(name):
    """Says that this was all, and how the other side ends it."""
    streams[name][1].put(None)
    return wait_for_end(name)


def listen(name, metadata):
    """Opens a stream that never ends; its first message."""
    call = channel.unary_stream("/test.Echo/forever")(b"", metadata=metadata)
    streams[name] = (call, None)
    return next(call).decode()


def start_waiting(name, metadata):
    """Makes a call that is never answered."""
    streams[name] = (channel.unary_unary("/test.Echo/wait").future(b"", metadata=metadata), None)


def cancel(name):
    streams[name][0].cancel()
    return outcome(streams[name][0])


def wait_for_end(name):
    """Takes all that comes, and how it ended."""
    call, _ = streams[name]
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    return outcome(call)


actions = [connect, unary, echo_large, echo_many, client_stream, server_stream, talk, say, finish, listen, start_waiting]
actions += [cancel, wait_for_end]
converse({action.__name__: action for action in actions})
