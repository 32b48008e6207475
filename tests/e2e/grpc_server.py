"""A gRPC service whose messages are plain bytes. With the names of two files, a chain and a key, it speaks TLS.

It prints each call that is over before it answered all it had to.
"""

import concurrent.futures
import json
import sys
import threading

import grpc


def echo(request, context):
    """What came, as it came."""
    context.set_trailing_metadata([("x-trailer", "after"), ("x-raw-bin", bytes(range(256)))])
    return request


def describe(request, context):
    """What the service sees of the call."""
    context.send_initial_metadata([("x-initial", "before")])
    said = [[name, value.hex() if isinstance(value, bytes) else value] for name, value in context.invocation_metadata()]
    return json.dumps({"metadata": said, "remaining": context.time_remaining(), "length": len(request)}).encode()


def fail(request, context):
    """An error, with details as richer clients read them."""
    context.set_trailing_metadata([("grpc-status-details-bin", b"\x08\x09\x12\x00details"), ("x-trailer", "after")])
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.decode())


def wait(_request, context):
    """No answer, for as long as anybody waits for one."""
    over = threading.Event()
    context.add_callback(over.set)
    print("waiting", flush=True)
    over.wait(60)
    print("over wait", flush=True)
    return b""


def down(request, _context):
    """So many messages."""
    for number in range(int(request)):
        yield str(number).encode()


def fail_late(_request, context):
    """Some messages, and then an error."""
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "no third")


def forever(_request, context):
    """A message, and then one more for each twentieth of a second."""
    over = threading.Event()
    if not context.add_callback(over.set):
        over.set()
    number = 0
    # Ends by itself at last, should nobody end it.
    while number < 1200 and not over.is_set():
        yield str(number).encode()
        number += 1
        over.wait(0.05)
    print("over forever", flush=True)


def up(requests, _context):
    """How many messages, and how many bytes."""
    sizes = [len(request) for request in requests]
    return f"{len(sizes)} {sum(sizes)}".encode()


def both(requests, _context):
    """Each message, at once."""
    yield from requests


KINDS = {
    grpc.unary_unary_rpc_method_handler: [echo, describe, fail, wait],
    grpc.unary_stream_rpc_method_handler: [down, fail_late, forever],
    grpc.stream_unary_rpc_method_handler: [up],
    grpc.stream_stream_rpc_method_handler: [both],
}
handlers = {method.__name__: kind(method) for kind, methods in KINDS.items() for method in methods}

pool = concurrent.futures.ThreadPoolExecutor(max_workers=32)
unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
server = grpc.server(pool, options=unlimited)
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", handlers)])
if len(sys.argv) > 1:
    chain, key = (open(name, "rb").read() for name in sys.argv[1:])
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, chain)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on {port}", flush=True)
server.wait_for_termination()
