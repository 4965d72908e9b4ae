#!/usr/bin/python3
"""Twisted: SERVER [--reactor epoll|gi] MODE [--handler US] [--tls CERT KEY], as the other servers.

The system's Python, which the packages of the system are for. (A script named twisted would be imported in the place of the package.)
"""
import argparse
import resource
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--reactor", choices=["epoll", "gi"], default="epoll")
parser.add_argument("mode", choices=["echo", "sink", "writes"])
parser.add_argument("--handler", type=float, default=0, metavar="US")
parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
options = parser.parse_args()

if options.reactor == "gi":
    from twisted.internet import gireactor as chosen
else:
    from twisted.internet import epollreactor as chosen
chosen.install()

from twisted.internet import protocol, reactor  # noqa: E402  the reactor comes first

LINE = b"0123456789abcdefghi\n"
REQUEST = 64
LINES = 10


def busy():
    if options.handler:
        end = time.monotonic() + options.handler / 1e6
        while time.monotonic() < end:
            pass


class Base(protocol.Protocol):
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)

    def connectionLost(self, reason):
        pass  # connections end as their peers like


class Sink(Base):
    def dataReceived(self, data):
        busy()


class Answering(Base):
    """Reads as fast as its answers are taken."""

    def connectionMade(self):
        super().connectionMade()
        self.transport.registerProducer(self.transport, True)


class Echo(Answering):
    def dataReceived(self, data):
        busy()
        self.transport.write(data)


class Answers(Answering):
    begun = 0

    def dataReceived(self, data):
        requests, self.begun = divmod(self.begun + len(data), REQUEST)
        for _ in range(requests):
            busy()
            for _ in range(LINES):
                self.transport.write(LINE)


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
factory = protocol.Factory.forProtocol({"echo": Echo, "sink": Sink, "writes": Answers}[options.mode])
factory.noisy = False
if options.tls:
    from twisted.internet import ssl

    pem = b"".join(open(path, "rb").read() for path in options.tls)
    identity = ssl.PrivateCertificate.loadPEM(pem)
    context = ssl.CertificateOptions(privateKey=identity.privateKey.original, certificate=identity.original,
                                     raiseMinimumTo=ssl.TLSVersion.TLSv1_3)
    port = reactor.listenSSL(0, factory, context, backlog=1024, interface="127.0.0.1")
else:
    port = reactor.listenTCP(0, factory, backlog=1024, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
sys.exit(0)
