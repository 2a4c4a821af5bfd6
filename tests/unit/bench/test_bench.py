"""The benchmark's arithmetic and its small client."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from bench.client import Connection
from bench.measure import Figure, percentile
from bench.report import table, write_json


def test_a_percentile_is_a_value_that_was_measured() -> None:
    samples = [float(number) for number in range(1, 101)]
    assert percentile(samples, 0.50) in samples
    assert percentile(samples, 0.95) == 96.0
    assert percentile([5.0], 0.95) == 5.0


def test_the_ratio_says_how_many_times_better_ours_is() -> None:
    figures = [
        Figure("run", "rundlet", "time", "ms", 10.0, 12.0, 5),
        Figure("run", "dockerd", "time", "ms", 200.0, 220.0, 5),
        Figure("run", "rundlet", "rate", "1/s", 90.0, 90.0, 5),
        Figure("run", "dockerd", "rate", "1/s", 30.0, 30.0, 5),
    ]
    rows = table(figures).splitlines()[2:]
    assert [row.split()[-1] for row in rows] == ["20.0×", "5", "3.0×", "5"]


def test_the_raw_data_are_a_list_of_named_figures(tmp_path: Path) -> None:
    write_json([Figure("run", "rundlet", "time", "ms", 1.5, 2.5, 3)], tmp_path / "build" / "bench.json")
    assert json.loads((tmp_path / "build" / "bench.json").read_text()) == [
        {"workload": "run", "engine": "rundlet", "metric": "time", "unit": "ms", "p50": 1.5, "p95": 2.5, "n": 3}
    ]


REPLIES = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
    "chunks": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
    "its end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
}  # fmt: skip


@pytest.mark.parametrize("delimiter", REPLIES)
def test_the_client_reads_a_reply_that_ends_by(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for byte in REPLIES[delimiter]:
                    connection.sendall(bytes([byte]))

        server = threading.Thread(target=serve)
        server.start()
        with Connection(path) as client:
            assert client.call("GET", "/") == {"a": 1}
        server.join()
