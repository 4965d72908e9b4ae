#!/usr/bin/python3
"""Deferreds of Twisted: PROGRAM MEASURE [N], as the other programs (measure.h).

The system's Python, which the packages of the system are for.
"""
import sys
import time

from twisted.internet import defer


def one_callback(count, _):
    for i in range(count):
        deferred = defer.Deferred()
        deferred.addCallback(lambda value: None)
        deferred.callback(i)
    return count


def ten_callbacks(count, _):
    for i in range(count):
        deferred = defer.Deferred()
        for _ in range(9):
            deferred.addCallback(lambda value: value + 1)
        deferred.addCallback(lambda value: None)
        deferred.callback(i)
    return count


def waiting_for(inner):
    return defer.succeed(None).addCallback(lambda _: inner)


def chain(count, links):
    done = 0
    while done < count:
        innermost = deferred = defer.Deferred()
        for _ in range(links):
            deferred = waiting_for(deferred)
        deferred.addCallback(lambda value: None)
        innermost.callback(1)
        done += links
    return done


def long_chain(count, callbacks):
    done = 0
    while done < count:
        deferred = defer.Deferred()
        for _ in range(callbacks):
            deferred.addCallback(lambda value: value + 1)
        deferred.callback(1)
        done += callbacks
    return done


# What is run, N unless the command line has another, and the largest: a long chain costs the square of its length.
MEASURES = {
    "one callback": (one_callback, 0, 0),
    "ten callbacks": (ten_callbacks, 0, 0),
    "chain": (chain, 1000, 1_000_000),
    "long chain": (long_chain, 20_000, 200_000),
}


def timed(run, count, n):
    cpu, wall = time.process_time_ns(), time.monotonic_ns()
    done = run(count, n)
    return time.monotonic_ns() - wall, time.process_time_ns() - cpu, done


def count_for(run, n):
    """How often makes 0.2 s."""
    count = 1
    while True:
        wall, _, done = timed(run, count, n)
        if wall >= 50_000_000:
            return max(done, done * 200_000_000 // wall) if wall < 200_000_000 else done
        count = done * 8


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(MEASURES))
        return
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in MEASURES:
        sys.exit(f"usage: {sys.argv[0]} MEASURE [N], or --list")
    run, n, most = MEASURES[sys.argv[1]]
    if len(sys.argv) == 3:
        if not n or not 0 < int(sys.argv[2]) <= most:
            sys.exit(f"{sys.argv[0]}: this measure takes no N, or none so large")
        n = int(sys.argv[2])
    count = count_for(run, n)
    wall, cpu, done = min((timed(run, count, n) for _ in range(5)), key=lambda times: times[0] / times[2])
    print(f'{{"ns": {wall / done:.2f}, "count": {done}, "cpu_ns": {cpu / done:.2f}}}')


main()
