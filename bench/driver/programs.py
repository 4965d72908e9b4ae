"""Starting the programs of a build, on which processor, and what they used."""
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile

PATIENCE = 120  # seconds until a program that says nothing is given up


class Failed(Exception):
    """A program did not do what it was started for; the text says what it said."""


class Place:
    """Where the programs are, and the processors: one for what is measured, one for the other side."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "bench")
        usable = sorted(os.sched_getaffinity(0))
        self.measured, self.other = usable[0], usable[-1]

    def has(self, program):
        return os.path.exists(os.path.join(self.folder, program))

    def command(self, program, arguments, processor, wrapper=()):
        return ["taskset", "-c", str(processor), *wrapper, os.path.join(self.folder, program), *map(str, arguments)]


def with_environment(environment):
    return {**os.environ, **environment}


def run(place, program, arguments, environment=None, processor=None):
    """Runs to the end; what it prints as JSON."""
    command = place.command(program, arguments, place.measured if processor is None else processor)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=with_environment(environment or {}))
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{program}: no end after {PATIENCE} s") from error
    if done.returncode != 0:
        raise Failed(f"{program}: {(done.stderr or done.stdout).strip()[-200:]} (exit {done.returncode})")
    return json.loads(done.stdout)


class Server:
    """A server that has said where it listens."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def resident(self):
        """Bytes of memory that are there for this process alone."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return 1024 * sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))

    def toggle_frames(self):
        """From here on they take time and are counted, or do no longer."""
        self.process.send_signal(signal.SIGUSR1)

    def finish(self):
        """Ends it with SIGTERM; what it says then, as JSON."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=PATIENCE)
        try:
            return json.loads(said)
        except ValueError as error:
            raise Failed(f"the server said at its end: {said[-200:]!r}") from error


@contextlib.contextmanager
def server(place, program, arguments, environment=None, wrapper=()):
    """Runs below the command `wrapper`, if one is given."""
    with tempfile.TemporaryFile("w+") as said:  # not a pipe: what nobody reads would block it
        yield from _server(place.command(program, arguments, place.measured, wrapper), program, environment, said)


def _server(command, program, environment, said):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True,
                               env=with_environment(environment or {}))
    try:
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            raise Failed(f"{program}: does not say where it listens")
        port = process.stdout.readline().strip()
        if not port:
            said.seek(0)
            raise Failed(f"{program}: {said.read().strip()[-200:]}")
        yield Server(process, port)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def load(place, server, kind, connections, size, seconds, idle=0, program="load"):
    """What the other side counted: count, seconds, server_cpu_s, and latencies in closed loops."""
    return run(place, program, [kind, server.port, connections, size, seconds, idle, server.process.pid], processor=place.other)


class PausedLoad:
    """As load(), but it runs when it is asked to, and waits in between."""

    def __init__(self, process, said):
        self.process = process
        self.said = said

    def ask(self, seconds):
        """What was counted meanwhile."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: below is why
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], PATIENCE)[0] else ""
        return json.loads(line) if line else self.fail()

    def end(self):
        """Fails if not every connection was answered."""
        self.process.communicate(timeout=PATIENCE)
        if self.process.returncode != 0:
            self.fail()

    def fail(self):
        self.said.seek(0)
        raise Failed(f"load: {self.said.read().strip()[-200:] or 'no answer'}")


@contextlib.contextmanager
def paused_load(place, server, kind, connections, size, idle=0):
    """It has been asked once before, uncounted."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(place.command("load", [kind, server.port, connections, size, 0, idle, server.process.pid], place.other), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            it = PausedLoad(process, said)
            it.ask(0.2)
            yield it
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def held(place, server, connections):
    """That many connections, open and idle."""
    process = subprocess.Popen(place.command("load", ["hold", server.port, connections, 1, 1], place.other), stdout=subprocess.PIPE, text=True)
    try:
        if not process.stdout.readline():
            raise Failed(f"the server does not take {connections} connections")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def certificate():
    """The files of a certificate for this host that nobody vouches for, and of its key."""
    with tempfile.TemporaryDirectory() as folder:
        chain, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain, "-days", "2",
                        "-subj", "/CN=localhost"], check=True, capture_output=True)
        yield chain, key
