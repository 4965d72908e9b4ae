"""Who takes part: each is a program of the build, with the arguments and the environment that make it what it is called."""
from dataclasses import dataclass, field

LIMIT, BINE, PEER = "limit", "bine", "peer"


@dataclass(frozen=True)
class Contestant:
    name: str
    program: str
    kind: str = PEER
    arguments: tuple = ()
    environment: dict = field(default_factory=dict, hash=False)
    window: str = ""  # the program that paints into a window, if it can

    def arguments_for(self, *more):
        return [*more, *self.arguments]


UNIX_DISPATCHER = {"QT_NO_GLIB": "1"}

RAW = Contestant("raw epoll", "raw_epoll", LIMIT)
OWN = Contestant("Bine, own loop", "bine_epoll", BINE)
OWN_POLL = Contestant("Bine, own loop (poll)", "bine_poll", BINE)
BINE_QT = Contestant("Bine in Qt (GLib dispatcher)", "bine_qt", BINE, window="bine_qt_window")
BINE_QT_UNIX = Contestant("Bine in Qt (UNIX dispatcher)", "bine_qt", BINE, environment=UNIX_DISPATCHER, window="bine_qt_window")
BINE_GLIB = Contestant("Bine in GLib", "bine_glib", BINE, window="bine_glib_window")
UV = Contestant("libuv", "uv")
ASIO = Contestant("Asio, callbacks", "asio_callbacks")
ASIO_CO = Contestant("Asio, coroutines", "asio_coroutines")
KJ = Contestant("KJ", "kj")
QTCP = Contestant("QTcpSocket (GLib dispatcher)", "qt_tcp", window="qt_tcp_window")
QTCP_UNIX = Contestant("QTcpSocket (UNIX dispatcher)", "qt_tcp", environment=UNIX_DISPATCHER, window="qt_tcp_window")
GIO = Contestant("GIO", "gio", window="gio_window")
TWISTED = Contestant("Twisted, epoll", "twisted_server", arguments=("--reactor", "epoll"))
TWISTED_GI = Contestant("Twisted, gireactor", "twisted_server", arguments=("--reactor", "gi"))

BINES = (OWN, BINE_QT, BINE_QT_UNIX, BINE_GLIB)
LOOPS = (UV, ASIO, ASIO_CO, KJ)
TOOLKITS = (QTCP, QTCP_UNIX, GIO)
TWISTEDS = (TWISTED, TWISTED_GI)
