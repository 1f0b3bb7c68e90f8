"""Calls of gRPC's own library, through serin: `client.py WHAT SERIN ADMIN`. Fails loudly where one does not go as it should."""

import queue
import sys

import grpc

WHAT, SERIN, ADMIN = sys.argv[1:]
OPTIONS = [("grpc.max_metadata_size", 64 * 1024), ("grpc.absolute_max_metadata_size", 64 * 1024), ("grpc.enable_retries", 0)]
PATIENCE = 10


def method(kind, name, service="shop.Checkout"):
    return getattr(channel, kind)(f"/{service}/{name}")


def status_of(call):
    """How a call fails."""
    try:
        result = call()
        for _ in result if hasattr(result, "__next__") else []:
            pass
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call went well")


def calls():
    echo = method("unary_unary", "Echo")
    for compression in [None, grpc.Compression.Gzip]:
        for message in [b"", b"hello", b"x" * 1_000_000]:
            assert echo(message, timeout=PATIENCE, compression=compression) == message
    metadata = [("mine-bin", bytes(range(256))), ("mine", "plain"), ("mine-big", "x" * 12_000)]
    _, call = echo.with_call(b"", timeout=PATIENCE, metadata=metadata)
    got = dict(call.initial_metadata())
    assert all(got[key] == value for key, value in metadata), got
    assert got["x-serin-version"] == "only", got
    assert dict(call.trailing_metadata())["also-bin"] == b"\x00\xff\x01"

    for code in grpc.StatusCode:
        if code == grpc.StatusCode.OK:
            continue
        failed = status_of(lambda: method("unary_unary", "Fail")(f"{code.value[0]} häßlich: 100 %".encode(), timeout=PATIENCE))
        assert (failed.code(), failed.details()) == (code, "häßlich: 100 %"), failed
    unknown = status_of(lambda: method("unary_unary", "Nothing")(b"", timeout=PATIENCE))
    assert unknown.code() == grpc.StatusCode.UNIMPLEMENTED and "Method not found" in unknown.details(), unknown

    assert [int(n) for n in method("unary_stream", "Count")(b"5000", timeout=PATIENCE)] == list(range(5000))
    assert method("stream_unary", "Total")((str(n).encode() for n in range(1000)), timeout=PATIENCE) == b"499500"
    said = queue.Queue()
    chat = method("stream_stream", "Chat")(iter(said.get, None), timeout=PATIENCE)
    for number in range(100):
        said.put(str(number).encode())
        assert next(chat) == str(number).encode()
    said.put(None)
    assert list(chat) == [] and chat.code() == grpc.StatusCode.OK


def deadlines():
    left = float(method("unary_unary", "Deadline")(b"", timeout=PATIENCE))
    assert 0 < left < PATIENCE, left
    # Without one the library gives the server a time in the far future.
    assert float(method("unary_unary", "Deadline")(b"")) > 1_000_000
    waiting = method("unary_stream", "Wait")(b"deadline", timeout=2)
    assert next(waiting) == b"begun"
    late = status_of(lambda: waiting)
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED, late


def cancel():
    call = method("unary_stream", "Wait")(b"cancel", timeout=PATIENCE)
    assert next(call) == b"begun"
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED


def unrouted():
    failed = status_of(lambda: method("unary_unary", "Echo", "other.Service")(b"", timeout=PATIENCE))
    assert failed.code() == grpc.StatusCode.UNIMPLEMENTED, failed
    assert failed.details() == "No route matches this request.", failed
    assert ("x-serin-error", "noRoute") in (failed.initial_metadata() or ()) + (failed.trailing_metadata() or ()), failed


def killed():
    """Says when it has begun; the server is then killed."""
    call = method("unary_stream", "Wait")(b"killed", timeout=PATIENCE)
    assert next(call) == b"begun"
    print("begun", flush=True)
    failed = status_of(lambda: call)
    assert failed.code() == grpc.StatusCode.UNAVAILABLE, failed
    failed = status_of(lambda: method("unary_unary", "Echo")(b"", timeout=PATIENCE))
    assert failed.code() == grpc.StatusCode.UNAVAILABLE, failed


def health():
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(ADMIN) as admin:
        stub = health_pb2_grpc.HealthStub(admin)
        for service in ["", "shop"]:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer
        unknown = status_of(lambda: stub.Check(health_pb2.HealthCheckRequest(service="nö"), timeout=PATIENCE))
        assert (unknown.code(), unknown.details()) == (grpc.StatusCode.NOT_FOUND, "there is no service `nö`"), unknown
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=PATIENCE)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        if hasattr(stub, "List"):
            assert set(stub.List(health_pb2.HealthListRequest(), timeout=PATIENCE).statuses) == {"", "shop"}


with grpc.insecure_channel(SERIN, options=OPTIONS) as channel:
    globals()[WHAT]()
