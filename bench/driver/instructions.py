"""Counts the instructions that a server executes for a request, under callgrind. Machines without hardware counters repeat the figures, busy or not.

A server runs twice, with few and with many requests. The difference of the two runs is free of its start and end.
"""
import pathlib
import re
import socket
import tempfile

from . import programs

FEW, MANY = 500, 2500  # requests of each connection
TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


class Exchange:
    """One request, and how many bytes answer it."""

    def __init__(self, mode, request, answer):
        self.mode, self.request, self.answer = mode, request, answer


ECHO = Exchange("echo", b"x" * 64, 64)
WRITES = Exchange("writes", b"x" * 64, 200)


def receive(connection, size):
    while size > 0:
        got = connection.recv(size)
        if not got:
            raise programs.Failed("the server closed a connection")
        size -= len(got)


def talk(port, exchange, connections, requests):
    """Each connection asks, all are answered, and again."""
    opened = [socket.create_connection(("127.0.0.1", port), timeout=programs.PATIENCE) for _ in range(connections)]
    for connection in opened:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(requests):
        for connection in opened:
            connection.sendall(exchange.request)
        for connection in opened:
            receive(connection, exchange.answer)
    for connection in opened:
        connection.close()


def churn(port, connections):
    for _ in range(connections):
        with socket.create_connection(("127.0.0.1", port), timeout=programs.PATIENCE) as connection:
            connection.sendall(b"x")
            receive(connection, 1)


def executed(place, contestant, mode, work):
    """Instructions from the start of a server to its end, with work(port) between."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with programs.server(place, contestant.program, contestant.arguments_for(mode), contestant.environment, wrapper) as server:
            work(int(server.port))
            server.process.terminate()
            server.process.wait(programs.PATIENCE)
        found = TOTALS.search(out.read_text())
        if not found:
            raise programs.Failed(f"{contestant.program}: callgrind wrote no totals")
        return int(found.group(1))


def per_request(place, contestant, exchange, connections):
    counts = [executed(place, contestant, exchange.mode, lambda port, n=n: talk(port, exchange, connections, n)) for n in (FEW, MANY)]
    return (counts[1] - counts[0]) / ((MANY - FEW) * connections)


def per_connection(place, contestant):
    few, many = 200, 1000
    counts = [executed(place, contestant, "echo", lambda port, n=n: churn(port, n)) for n in (few, many)]
    return (counts[1] - counts[0]) / (many - few)


def rows(place, contestants):
    """(what, who, instructions), one after the other."""
    for contestant in contestants:
        if not place.has(contestant.program):
            continue
        yield "64 B echo, 1 connection", contestant.name, per_request(place, contestant, ECHO, 1)
        yield "64 B echo, 20 connections", contestant.name, per_request(place, contestant, ECHO, 20)
        yield "ten writes, 1 connection", contestant.name, per_request(place, contestant, WRITES, 1)
        yield "connect, echo a byte, close", contestant.name, per_connection(place, contestant)
