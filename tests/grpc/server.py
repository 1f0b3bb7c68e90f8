"""A gRPC server of gRPC's own library. Prints its port; prints what becomes of calls to Wait."""

import sys
import threading
from concurrent import futures

import grpc


def echo(request, context):
    sent = [(key, value) for key, value in context.invocation_metadata() if key.startswith("mine")]
    context.send_initial_metadata(sent)
    context.set_trailing_metadata([("also-bin", b"\x00\xff\x01")])
    return request


def deadline(_, context):
    return str(context.time_remaining()).encode()


def fail(request, context):
    code, details = request.decode().split(" ", 1)
    context.abort({c.value[0]: c for c in grpc.StatusCode}[int(code)], details)


def count(request, _):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, _):
    return str(sum(int(request) for request in requests)).encode()


def chat(requests, _):
    yield from requests


def wait(request, context):
    over = threading.Event()
    if not context.add_callback(over.set):
        over.set()
    print("begun " + request.decode(), flush=True)
    yield b"begun"
    over.wait()
    print("over " + request.decode(), flush=True)


METHODS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Deadline": grpc.unary_unary_rpc_method_handler(deadline),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Total": grpc.stream_unary_rpc_method_handler(total),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
}

server = grpc.server(
    futures.ThreadPoolExecutor(8),
    options=[("grpc.max_metadata_size", 64 * 1024), ("grpc.absolute_max_metadata_size", 64 * 1024)],
    compression=grpc.Compression.Gzip,
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Checkout", METHODS),))
print("port", server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
# Until the test lets go of it.
sys.stdin.read()
