"""What is measured. A Work has cases; in each case its contestants do the same thing."""
import contextlib
from dataclasses import dataclass
from typing import Callable

from . import contestants as who
from .programs import Failed, certificate, held, load, paused_load, run, server
from .rounds import SLICE, run_rounds, run_slices


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    digits: int = 2


@dataclass(frozen=True)
class Case:
    name: str
    contestants: tuple
    measure: Callable  # (place, label, contestants, rounds, seconds) -> what run_rounds() gives


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    explanation: str  # for people who read the table
    metrics: tuple
    cases: tuple
    reference: str            # the contestant that ratios are taken of
    ratios: tuple = ()        # names of the metrics whose ratios are shown
    picture: str = ""         # of these, the one that is drawn
    pairs: tuple = ()         # (a form of Bine, the peer one would take in its place), both contestants
    by_default: bool = True
    seconds: tuple = (0, float("inf"))  # the least and the most that a measurement may take; no time of its own: (0, 0)
    needs_display: bool = False


PAIRS = ((who.OWN, who.UV), (who.OWN, who.ASIO), (who.OWN, who.ASIO_CO), (who.OWN, who.KJ), (who.OWN, who.TWISTED), (who.BINE_QT, who.QTCP),
         (who.BINE_QT_UNIX, who.QTCP_UNIX), (who.BINE_GLIB, who.GIO), (who.BINE_GLIB, who.TWISTED_GI))
RATE = Metric("rate", "requests/s", 0)
CPU = Metric("cpu", "µs CPU per request", 2)


def totals(counted):
    return (sum(each[name] for each in counted) for name in ("count", "seconds", "server_cpu_s"))


def rate_and_cpu(counted, unit=1):
    """Requests per second, and the server's processor time for each. `unit`: how much of what is counted makes one."""
    number, seconds, processor = totals(counted)
    if not number:
        raise Failed("the server did not answer")
    return {"rate": number / unit / seconds, "cpu": processor / number * unit * 1e6}


def one_by_one(measure):
    """Each contestant alone, in turn. measure(place, contestant, seconds) gives {metric's name: number}."""
    return lambda place, label, contestants, rounds, seconds: run_rounds(label, contestants, rounds, lambda each: measure(place, each, seconds))


def side_by_side(kind, connections, size, idle=0, unit=1, slice_seconds=SLICE):
    """All contestants' servers at once, under a load that can be had in slices, so that everybody is measured in the same moments."""

    @contextlib.contextmanager
    def opened(place, contestant):
        mode = kind if kind in ("sink", "writes") else "echo"
        with server(place, contestant.program, contestant.arguments_for(mode), contestant.environment) as it, \
                paused_load(place, it, kind, connections, size, idle) as asked:
            yield asked

    return lambda place, label, contestants, rounds, seconds: run_slices(
        label, contestants, rounds, seconds, lambda each: opened(place, each), lambda counted: rate_and_cpu(counted, unit), slice_seconds)


ECHO = Work(
    "echo", "Ping-pong",
    "Each connection sends 64 bytes, waits for their echo, and sends again.",
    (RATE, CPU),
    tuple(Case(f"64 B, {number} connections", (who.RAW, *who.BINES, who.OWN_POLL, *who.LOOPS, *who.TOOLKITS, *who.TWISTEDS), side_by_side("echo", number, 64))
          for number in (50, 500)),
    reference=who.RAW.name, ratios=("rate", "cpu"), picture="cpu", pairs=PAIRS)

IDLE = Work(
    "idle", "Idle connections",
    "50 connections play ping-pong with 64 bytes while 10,000 others are open and say nothing.",
    (RATE, CPU),
    (Case("50 among 10,000 idle", (who.RAW, *who.BINES, who.OWN_POLL, *who.LOOPS, *who.TOOLKITS, who.TWISTED), side_by_side("echo", 50, 64, 10000, slice_seconds=1)),),
    reference=who.RAW.name, ratios=("rate", "cpu"), picture="rate", pairs=PAIRS)  # a pass of some takes 20 ms, and one of each slice finds nothing to do

MIB = 1024 * 1024
BULK = Work(
    "bulk", "Bulk",
    "Pieces of 64 KiB: sent back by the server (echo; each connection has four under way), or dropped by it (sink; 2 GiB/s in all). The raw program reads "
    "with Bine's buffer of 256 KiB.",
    (Metric("rate", "MiB/s", 0), Metric("cpu", "µs CPU per MiB", 0)),
    tuple(Case(name, (who.RAW, *who.BINES, *who.LOOPS, who.QTCP, who.GIO), side_by_side(kind, number, 65536, unit=MIB))
          for name, kind, number in (("echo, 10 connections", "bulk", 10), ("sink, 10 connections", "sink", 10), ("sink, 1 connection", "sink", 1))),
    reference=who.RAW.name, ratios=("rate", "cpu"), picture="cpu", pairs=PAIRS)

CHURN = Work(
    "churn", "Connections that come and go",
    "20 at a time: connect, one byte there and back, close.",
    (Metric("rate", "connections/s", 0), Metric("cpu", "µs CPU per connection", 1)),
    (Case("20 at once", (who.RAW, *who.BINES, *who.LOOPS, *who.TOOLKITS, who.TWISTED), side_by_side("churn", 20, 1)),),
    reference=who.RAW.name, ratios=("rate", "cpu"), picture="cpu", pairs=PAIRS)

WRITES = Work(
    "writes", "Ten small writes",
    "Each request of 64 bytes is answered by ten writes of 20 bytes. The raw program makes a send() of each.",
    (RATE, CPU),
    (Case("50 connections", (who.RAW, *who.BINES, *who.LOOPS, *who.TOOLKITS, who.TWISTED), side_by_side("writes", 50, 64)),),
    reference=who.RAW.name, ratios=("rate", "cpu"), picture="rate", pairs=PAIRS)


@one_by_one
def memory(place, contestant, _seconds):
    """What a further connection costs, once there are some."""
    few, many = 500, 8000
    with server(place, contestant.program, contestant.arguments_for("echo"), contestant.environment) as it:
        with held(place, it, few):
            before = it.resident()
            with held(place, it, many):
                return {"memory": (it.resident() - before) / many}


MEMORY = Work(
    "memory", "Memory of an idle connection",
    "8,000 connections that have said one byte, beside 500 that were there: private memory of the process, per connection. The kernel's is not in it.",
    (Metric("memory", "bytes", 0),),
    (Case("8,000 connections", (who.RAW, *who.BINES, *who.LOOPS, who.QTCP, who.GIO, who.TWISTED), memory),),
    reference=who.OWN.name, seconds=(0, 0))

FRAME_MS, WORK_MS = 16, 2
FRAME_SLICE = 0.25  # seconds, in turn with frames and without: many frames, and less than it takes the machine to become another
FLOODS = (("50 connections", 50, 0), ("500 connections", 500, 0), ("500 connections, handlers of 50 µs", 500, 50))


def frames(connections, handler=0, window=False):
    """How late a GUI's frames are beside the load. The raw program has no window: it takes the time that painting would."""

    @contextlib.contextmanager
    def flooded(place, contestant):
        program, environment = contestant.program, contestant.environment
        more = ["--frame", FRAME_MS, "--work", WORK_MS, *(["--handler", handler] if handler else [])]
        if window and contestant.kind != who.LIMIT:
            program, more = contestant.window, [*more, "--window"]
            environment = {**environment, "GSK_RENDERER": "cairo"}  # there is nothing that a graphics processor would have to do
        with server(place, program, contestant.arguments_for("echo", *more), environment) as it, paused_load(place, it, "echo", connections, 64) as asked:
            yield it, asked

    def beside_frames(it, asked, seconds):
        it.toggle_frames()
        counted = asked.ask(seconds)
        it.toggle_frames()
        return counted

    def for_each_second(counted, painted=0):
        """Of processor time that painting leaves."""
        number, seconds, processor = totals(counted)
        return number / (processor - painted * WORK_MS / FRAME_MS * seconds)

    @one_by_one
    def measure(place, contestant, seconds):
        with flooded(place, contestant) as (it, asked):
            counted = beside_frames(it, asked, seconds)
            asked.end()
            said = it.finish()
        painted = said["frames"] / max(1, said["frames"] + said["missed"])
        values = {"rate": counted["count"] / counted["seconds"], "late_p50": said["late_p50_ms"], "late_p99": said["late_p99_ms"], "late_max": said["late_max_ms"],
                  "missed": (1 - painted) * 100}
        if not window:  # whose frames take longer than their work
            slices = round(seconds / FRAME_SLICE)
            with flooded(place, contestant) as (it, asked):
                beside, alone = zip(*((beside_frames(it, asked, FRAME_SLICE), asked.ask(FRAME_SLICE)) for _ in range(slices)))
            values["kept"] = for_each_second(beside, painted) / for_each_second(alone)
        return values

    return measure


FRAME_METRICS = (Metric("late_p50", "ms late, p50", 2), Metric("late_p99", "ms late, p99", 2), Metric("late_max", "ms late, most", 1),
                 Metric("missed", "% missed", 1), Metric("rate", "requests/s", 0))
KEPT = Metric("kept", "of what frames leave", 2)
FRAMES = Work(
    "frames", "A GUI's frames beside a flood",
    "The loop paints a frame each 16 ms, which keeps it busy for 2 ms, beside 64-byte ping-pong that never ends. Late: from when a frame was due to when it "
    "began. The raw program paints, too, between two batches of events. Of what frames leave: requests for each second of "
    "processor time that painting leaves, as a part of those while its frames take no time, in turn with these, by quarters of a second.",
    (*FRAME_METRICS, KEPT),
    tuple(Case(name, (who.RAW, who.BINE_QT, who.BINE_QT_UNIX, who.BINE_GLIB, *who.TOOLKITS), frames(number, handler))
          for name, number, handler in FLOODS),
    reference=who.RAW.name, ratios=("rate",), seconds=(2, 10))

WINDOW = Work(
    "window", "A window's frames beside a flood",
    "The same, the frames being repaints of a real window: of a QWidget each 16 ms, of a GtkDrawingArea at each beat of GTK's frame clock (60 Hz). Late: from "
    "then to when it was painted.",
    FRAME_METRICS,
    tuple(Case(f"{name}, a window", (who.RAW, who.BINE_QT, who.BINE_GLIB, who.QTCP, who.GIO), frames(number, handler, window=True))
          for name, number, handler in FLOODS),
    reference=who.RAW.name, ratios=("rate",), needs_display=True, seconds=(2, 10))


# --- What happens in one process.

def micro(*arguments):
    @one_by_one
    def measure(place, contestant, _seconds):
        measured = run(place, contestant.program, [*contestant.arguments, *arguments], contestant.environment)
        return {"time": measured["ns"]}

    return measure


BINE = "Bine"
NS = (Metric("time", "ns", 1),)


def peers(subject, **programs):
    return tuple(who.Contestant(name, f"{subject}_{suffix}") for name, suffix in programs.items())


def micro_work(name, title, explanation, cases, **more):
    return Work(name, title, explanation, NS, tuple(cases), reference=BINE, ratios=("time",), picture="time", seconds=(0, 0), **more)


_bine = {subject: who.Contestant(BINE, f"{subject}_bine", who.BINE) for subject in ("deferred", "coroutine", "timers", "threads")}
_deferred = (_bine["deferred"], *peers("deferred", KJ="kj", QFuture="qfuture", Twisted="twisted"))
_long = tuple(each for each in _deferred if each.name != "QFuture")  # which ends at some thousands
DEFERRED = micro_work(
    "deferred", "Deferreds",
    "Made, given its callbacks, and fired. A chain: each waits for the next, and the innermost is fired; the time is per link.",
    (Case("one callback", _deferred, micro("one callback")),
     Case("ten callbacks", _deferred, micro("ten callbacks")),
     Case("chain of 1,000", _deferred, micro("chain", 1000)),
     Case("chain of 1,000,000", _long, micro("chain", 1000000))))

_coroutine = (_bine["coroutine"], *peers("coroutine", Asio="asio"))
COROUTINE = micro_work(
    "coroutine", "Coroutines", "Ready: what is awaited has its result. Pending: made, awaited, fired, resumed.",
    (Case("await ready", _coroutine[:1], micro("await ready")),
     *(Case(name, _coroutine, micro(name)) for name in ("await pending", "call and await"))))

_timers = (_bine["timers"], *peers("timers", libuv="uv", Asio="asio", QTimer="qt", g_timeout="glib"))
TIMERS = micro_work(
    "timers", "Timers",
    "With 1,000,000 that live; of QTimer 20,000 and of g_timeout 10,000, whose cost grows with their number. Reset: an idle timeout is put off, beside 10,000 "
    "others. A pass: one turn of the loop in which none is due.",
    (Case(name, _timers, micro(name)) for name in ("schedule and cancel", "schedule and fire", "reset", "pass")))

_threads = (who.Contestant(BINE, "threads_bine", who.BINE, ("epoll",)), who.Contestant("Bine in Qt", "threads_bine", who.BINE, ("qt",)),
            who.Contestant("Bine in GLib", "threads_bine", who.BINE, ("glib",)),
            *peers("threads", Qt="qt", GLib="glib", libuv="uv"))
THREADS = micro_work(
    "threads", "Threads",
    "Calls into the loop's thread from one thread and from eight, per call (Qt: invokeMethod, queued; GLib: g_main_context_invoke; libuv: uv_async_send); a "
    "blocking call in a worker and its result back in the loop, one after the other.",
    (Case(name, _threads, micro(name)) for name in ("1 producer", "8 producers", "round trip")))

MACHINE = Work(
    "machine", "The machine", "What it takes for ordinary things, to read the other figures by.", NS,
    tuple(Case(name, (who.Contestant("C", "calibrate", who.LIMIT),), micro(name)) for name in ("malloc and free", "clock_gettime", "indirect call")),
    reference="C", seconds=(0, 0))


# --- What Bine has no transport for yet: the peers alone. Not run unless asked for.

@one_by_one
def datagrams(place, contestant, seconds):
    with server(place, contestant.program, contestant.arguments_for("udp")) as it:
        return rate_and_cpu([load(place, it, "udp", 50, 64, seconds)])


@one_by_one
def local(place, contestant, seconds):
    with server(place, contestant.program, contestant.arguments_for("unix")) as it:
        return rate_and_cpu([load(place, it, "echo", 50, 64, seconds)])


@one_by_one
def spawn(place, contestant, _seconds):
    said = run(place, contestant.program, ["spawn"])
    return {"rate": said["count"] / said["seconds"]}


def tls(kind, connections, size):
    """The peers with TLS 1.3: what is asked for by load_tls."""

    @one_by_one
    def measure(place, contestant, seconds):
        with certificate() as (chain, key), \
                server(place, contestant.program, contestant.arguments_for("echo", "--tls", chain, key), contestant.environment) as it:
            return rate_and_cpu([load(place, it, kind, connections, size, seconds, program="load_tls")])

    return measure


_tls = (who.RAW, who.ASIO, who.ASIO_CO, who.QTCP, who.GIO, who.TWISTED)
LATER = "Bine has no such transport yet: these are its peers."
TLS = Work("tls", "TLS 1.3", f"Echo, and connections that come and go, with a P-256 certificate. The raw program has OpenSSL. {LATER}", (RATE, CPU),
           (Case("echo of 64 B, 50 connections", _tls, tls("echo", 50, 64)), Case("echo of 64 KiB, 10 connections", _tls, tls("echo", 10, 65536)),
            Case("handshakes, 20 at once", _tls, tls("churn", 20, 1))),
           reference=who.RAW.name, ratios=("rate", "cpu"), by_default=False)
UDP = Work("udp", "Datagrams", f"Datagrams of 64 bytes, there and back. {LATER}", (RATE, CPU),
           (Case("50 peers", (who.RAW, who.UV), datagrams),), reference=who.RAW.name, ratios=("rate", "cpu"), by_default=False)
UNIX = Work("unix", "UNIX sockets", f"Ping-pong with 64 bytes. {LATER}", (RATE, CPU),
            (Case("50 connections", (who.RAW, who.UV), local),), reference=who.RAW.name, ratios=("rate", "cpu"), by_default=False)
PROCESSES = Work("processes", "Processes", f"/bin/true, started and reaped again and again. {LATER}", (Metric("rate", "processes/s", 0),),
                 (Case("one at a time", (who.RAW, who.UV), spawn),), reference=who.RAW.name, ratios=("rate",), by_default=False)

ALL = (MACHINE, ECHO, IDLE, BULK, CHURN, WRITES, MEMORY, FRAMES, WINDOW, TIMERS, DEFERRED, COROUTINE, THREADS, TLS, UDP, UNIX, PROCESSES)
BY_NAME = {work.name: work for work in ALL}
