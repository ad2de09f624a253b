"""A client in Python of both services, as somebody would write it who has nothing but the assignment's proto files.

It says what it saw as JSON; what is not as it should be ends it with exit code 1. The types are generated out of the
files when it starts. With a keepalive of a second: a server that takes that for an attack would send it away.
"""

import argparse
import json
import queue
import sys

import grpc

LIMIT_S = 60
KEEPALIVE_S = 1
# Longer than it takes a server of gRPC's own libraries to send somebody away who pings every second.
QUIET_S = 6
TOO_LARGE = 9 << 20
OPTIONS = [
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A channel of its own: else those with equal options share a connection.
    ("grpc.use_local_subchannel_pool", 1),
]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:50051", help="the writer")
    parser.add_argument("--proto", action="append", required=True, help="folder with producto.proto or clima.proto")
    parser.add_argument("--calls", type=int, default=1000, help="sales on one connection")
    return parser.parse_args()


class Client:
    def __init__(self, address):
        self.sale_types, sale_services = grpc.protos_and_services("producto.proto")
        self.weather_types, weather_services = grpc.protos_and_services("clima.proto")
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        self.sales = sale_services.ProductSaleServiceStub(self.channel)
        self.reports = weather_services.WeatherServiceStub(self.channel)
        self.states = queue.Queue()
        self.channel.subscribe(self.states.put)

    def sale(self, **changes):
        fields = {"categoria": "Electronica", "producto_id": "P-17", "precio": 499.99, "cantidad_vendida": 2}
        return self.sale_types.ProductSaleRequest(**(fields | changes))

    def accepted(self, request, **options):
        answer = self.sales.ProcesarVenta(request, timeout=LIMIT_S, **options)
        assert answer.estado == "OK", answer

    def refused(self, request, code, words):
        try:
            answer = self.sales.ProcesarVenta(request, timeout=LIMIT_S)
        except grpc.RpcError as error:
            assert error.code() == code and words in error.details(), error
        else:
            raise AssertionError(f"{answer} for {words}")

    def with_unknown_fields(self):
        # Field 4711, text of four bytes, and field 4712, a number.
        unknown = bytes([0xBA, 0xA6, 0x02, 4]) + b"next" + bytes([0xC0, 0xA6, 0x02, 7])
        return self.sale_types.ProductSaleRequest.FromString(self.sale().SerializeToString() + unknown)

    def many(self, calls):
        futures = [self.sales.ProcesarVenta.future(self.sale(), timeout=LIMIT_S) for _ in range(calls)]
        assert all(future.result().estado == "OK" for future in futures)

    def report(self, **options):
        report = self.weather_types.WeatherReport(description="Lluvia ligera", country="GT", weather="Rainy")
        answer = self.reports.Publicar(report, timeout=LIMIT_S, **options)
        assert answer.estado == "OK", answer

    def stays_connected(self):
        """Nothing but pings for a while: the connection stays the one that it was."""
        while not self.states.empty():
            self.states.get()
        try:
            state = self.states.get(timeout=QUIET_S)
        except queue.Empty:
            return
        raise AssertionError(f"the connection became {state}")


def main():
    given = arguments()
    sys.path.extend(given.proto)
    client = Client(given.address)
    client.accepted(client.sale())
    client.accepted(client.sale(), compression=grpc.Compression.Gzip)
    client.accepted(client.with_unknown_fields())
    client.refused(client.sale(cantidad_vendida=-1), grpc.StatusCode.INVALID_ARGUMENT, "cantidad_vendida")
    client.refused(client.sale(producto_id="x" * TOO_LARGE), grpc.StatusCode.OUT_OF_RANGE, "more than 8388608")
    client.stays_connected()
    client.many(given.calls)
    client.report()
    client.report(compression=grpc.Compression.Gzip)
    print(json.dumps({"sales": 3 + given.calls, "reports": 2}))


if __name__ == "__main__":
    main()
