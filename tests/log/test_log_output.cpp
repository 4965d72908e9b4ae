// What reaches stderr: one write per event, nothing that steers a terminal, no descriptor needed, no SIGPIPE.
//
// A socket pair that keeps packets apart stands in for stderr, so each write(2) is seen as one packet. What
// depends on the environment is shown by a child: this program, called with "--say".

#include <QtTest>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bine/log/format.h"
#include "bine/log/log.h"
#include "bine/log/recorder.h"

using namespace bine;

namespace {

/// stderr is the other end of a packet socket while this lives.
class Stderr {
public:
    Stderr() {
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
            qFatal("socketpair: %s", std::strerror(errno));
        saved_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        ::dup2(pair[1], STDERR_FILENO);
        ::close(pair[1]);
        ours_ = pair[0];
    }
    ~Stderr() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        ::close(ours_);
    }
    /// The next write, or nothing.
    std::string next() {
        std::string packet(256 * 1024, '\0');
        const ssize_t size = ::recv(ours_, packet.data(), packet.size(), MSG_DONTWAIT);
        packet.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return packet;
    }

private:
    int saved_ = -1, ours_ = -1;
};

/// All but the time: "2026-02-28T12:00:00.000Z ".
std::string afterTime(const std::string& line) { return line.size() > 25 ? line.substr(25) : line; }

std::string shown(std::string_view message) {
    LogEvent event;
    event.message = message;
    return formatLogText(event);
}

int sayEverything() {
    std::optional<LogRecorder> recorder;
    if (qEnvironmentVariableIsSet("RECORD"))
        recorder.emplace();
    const Logger log("say");
    log.debug("debug");
    log.info("info");
    log.warn("warn");
    log.error("error");
    log.critical("critical");
    if (recorder)
        recorder->flush();
    return 0;
}

/// The levels a child shows in that environment.
QString said(const QString& level, const QStringList& more = {}) {
    QProcess child;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("BINE_LOG");
    if (!level.isNull())
        environment.insert("BINE_LOG", level);
    for (const QString& name : more)
        environment.insert(name, "1");
    child.setProcessEnvironment(environment);
    child.start(QCoreApplication::applicationFilePath(), {"--say"});
    if (!child.waitForFinished())
        return "no end: " + child.errorString();
    QStringList words;
    const QStringList lines = QString::fromUtf8(child.readAllStandardError()).split('\n', Qt::SkipEmptyParts);
    for (const QString& line : lines)
        words << line.section(' ', 1, 1);
    return words.join(' ');
}

} // namespace

class TestLogOutput : public QObject {
    Q_OBJECT

private slots:
    void anEventIsOneWriteAndOneLine() {
        Stderr capture;
        LogScope scope(LogContext("Chat,3"));
        log_.warn("slow", {{"peer", "127.0.0.1"}, {"took", "3 s"}, {"said", "\"no\""}});
        const std::string line = capture.next();
        QCOMPARE(afterTime(line), std::string("warn [bine.test] [Chat,3] slow peer=127.0.0.1 took=\"3 s\" "
                                              "said=\"\\\"no\\\"\"\n"));
        QVERIFY(capture.next().empty());
    }

    void theTimeIsUtc() {
        LogEvent event;
        event.time =
            std::chrono::sys_days{std::chrono::year{2024} / 2 / 29} + std::chrono::milliseconds(86'399'007);
        event.message = "x";
        QCOMPARE(formatLogEvent(event), std::string("2024-02-29T23:59:59.007Z info [] x"));
    }

    void errorsNameThePlace() {
        Stderr capture;
        log_.error("bad");
        QVERIFY(capture.next().find("bad (test_log_output.cpp:") != std::string::npos);
    }

    void aFailureIsShownOnceWithTypeAndText() {
        Stderr capture;
        log_.failure(std::make_exception_ptr(std::runtime_error("boom")), "Unhandled error");
        std::string text = capture.next();
        QVERIFY(text.find("\n    std::runtime_error: boom\n") != std::string::npos);
        log_.failure(std::make_exception_ptr(std::runtime_error("boom")), "Unhandled error",
                     LogLevel::critical, "std::runtime_error: boom\n  made at a.cpp:1\n");
        text = capture.next();
        QVERIFY(text.ends_with("\n    std::runtime_error: boom\n      made at a.cpp:1\n"));
        QCOMPARE(text.find("boom"), text.rfind("boom"));
    }

    void exceptionsOfEveryKindAreDescribed() {
        struct Silent : std::exception {
            const char* what() const noexcept override { return nullptr; }
        };
        QCOMPARE(describeException(nullptr), std::string("no exception"));
        QCOMPARE(describeException(std::make_exception_ptr(7)), std::string("int"));
        QCOMPARE(describeException(std::make_exception_ptr(std::string("text"))),
                 std::string("std::string: text"));
        QVERIFY(describeException(std::make_exception_ptr(Silent())).ends_with("Silent: (no text)"));
    }

    void controlCharactersAreNeutralised_data() {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QByteArray>("shownAs");
        QTest::newRow("line end") << QByteArray("a\nb\r") << QByteArray("a\\nb\\r");
        QTest::newRow("escape") << QByteArray("\x1b[31m\a") << QByteArray("\\x1b[31m\\x07");
        QTest::newRow("null and delete") << QByteArray("a\0b\x7f", 4) << QByteArray("a\\x00b\\x7f");
        QTest::newRow("C1") << QByteArray("\xc2\x9b"
                                          "31m")
                            << QByteArray("\\x9b31m");
        QTest::newRow("line separator") << QByteArray("\xe2\x80\xa8") << QByteArray("\\u2028");
        QTest::newRow("right to left") << QByteArray("\xe2\x80\xae"
                                                     "abc")
                                       << QByteArray("\\u202eabc");
        QTest::newRow("text stays") << QByteArray("Gr\xc3\xbc\xc3\x9f"
                                                  "e \xf0\x9f\x90\x9d")
                                    << QByteArray("Gr\xc3\xbc\xc3\x9f"
                                                  "e \xf0\x9f\x90\x9d");
        QTest::newRow("not UTF-8") << QByteArray("\xff\xc3") << QByteArray("\\xff\\xc3");
        QTest::newRow("overlong") << QByteArray("\xc0\x8a\xe0\x80\x8a")
                                  << QByteArray("\\xc0\\x8a\\xe0\\x80\\x8a");
        QTest::newRow("surrogate") << QByteArray("\xed\xa0\x80") << QByteArray("\\xed\\xa0\\x80");
        QTest::newRow("too big") << QByteArray("\xf4\x90\x80\x80") << QByteArray("\\xf4\\x90\\x80\\x80");
    }
    void controlCharactersAreNeutralised() {
        QFETCH(QByteArray, text);
        QFETCH(QByteArray, shownAs);
        QCOMPARE(QByteArray::fromStdString(shown(text.toStdString())), shownAs);
    }

    void nothingFromOutsideForgesALine() {
        Stderr capture;
        const std::string evil = "x\n2026-01-01T00:00:00.000Z critical [root] y\x1b[2J";
        LogScope scope{LogContext(evil)};
        Logger(evil).failure(std::make_exception_ptr(std::runtime_error(evil)), evil);
        log_.info("x", {{evil, evil}});
        for (std::string text = capture.next(); !text.empty(); text = capture.next()) {
            QVERIFY(text.find('\x1b') == std::string::npos);
            for (std::size_t at = text.find('\n'); at + 1 < text.size(); at = text.find('\n', at + 1))
                QCOMPARE(text.substr(at + 1, 4), std::string("    ")); // further lines are indented
        }
    }

    void longTextIsCut() {
        const std::string text = shown(std::string(1'000'000, 'a'));
        QVERIFY(text.size() < 5000);
        QVERIFY(text.ends_with("a... (995904 bytes more)"));
        const std::string accents = shown("a" + std::string(5000, '\xc3') + "x");
        QVERIFY(accents.size() < 20'000);
    }

    void longTextIsCutBetweenCharacters() {
        std::string text = "a";
        for (int i = 0; i < 3000; ++i)
            text += "\xc3\xbc";
        const std::string cut = shown(text);
        QVERIFY(cut.find("\\x") == std::string::npos);
        QVERIFY(cut.ends_with("\xc3\xbc... (1906 bytes more)"));
    }

    void manyFieldsAndLongDetailsAreCut() {
        LogEvent event;
        event.message = "x";
        event.prefix = std::string(100'000, 'p');
        event.detail = std::string(1'000'000, '\n') + "end";
        for (int i = 0; i < 1000; ++i)
            event.fields.emplace_back("k", std::string(10, 'v'));
        const std::string text = formatLogText(event);
        QVERIFY(text.find("(936 fields more)") != std::string::npos);
        QVERIFY(text.size() < 128 * 1024);
    }

    void loggingNeedsNoDescriptor() {
        Stderr capture;
        rlimit before{};
        QCOMPARE(::getrlimit(RLIMIT_NOFILE, &before), 0);
        rlimit none = before;
        none.rlim_cur = 0;
        QCOMPARE(::setrlimit(RLIMIT_NOFILE, &none), 0);
        log_.error("out of descriptors");
        const std::string text = capture.next();
        ::setrlimit(RLIMIT_NOFILE, &before);
        QVERIFY(text.find("out of descriptors") != std::string::npos);
    }

    void aClosedStderrKillsNobody() {
        int ends[2];
        QCOMPARE(::pipe2(ends, O_CLOEXEC), 0);
        const int saved = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        log_.error("nobody reads this");
        ::dup2(saved, STDERR_FILENO);
        ::close(saved);
        sigset_t pending;
        sigpending(&pending);
        QVERIFY(!sigismember(&pending, SIGPIPE));
    }

    void aFullStderrLosesAndCounts() {
        {
            Stderr capture;
            log_.info("tells what was lost before");
        }
        int ends[2];
        QCOMPARE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        const std::string block(4096, 'x');
        std::size_t filled = 0;
        while (::write(ends[1], block.data(), block.size()) > 0)
            filled += block.size();
        const int saved = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        ::dup2(ends[1], STDERR_FILENO);
        log_.info("lost");
        log_.info("lost too");
        std::string read(filled, '\0');
        const ssize_t drained = ::read(ends[0], read.data(), read.size());
        log_.info("back again");
        ::dup2(saved, STDERR_FILENO);
        ::close(saved);
        read.resize(1000);
        const ssize_t size = ::read(ends[0], read.data(), read.size());
        ::close(ends[0]);
        ::close(ends[1]);
        QCOMPARE(drained, static_cast<ssize_t>(filled));
        QVERIFY(size > 0);
        read.resize(static_cast<std::size_t>(size));
        QVERIFY(read.starts_with("(2 log events could not be written)\n"));
        QVERIFY(read.ends_with("info [bine.test] back again\n"));
    }

    void theEnvironmentChoosesTheLevel() {
        QCOMPARE(said({}), QString("info warn error critical"));
        QCOMPARE(said("debug"), QString("debug info warn error critical"));
        QCOMPARE(said("error"), QString("error critical"));
        QCOMPARE(said("off"), QString());
        QCOMPARE(said(""), QString("info warn error critical"));
    }

    void anUnknownLevelIsToldAndIgnored() {
        QCOMPARE(said("loud\x1b"), QString("BINE_LOG info warn error critical"));
    }

    void recordedEventsAreShownOnRequest() {
        QCOMPARE(said({}, {"RECORD"}), QString("info warn"));
        QCOMPARE(said({}, {"RECORD", "BINE_LOG_RECORDED"}), QString("info warn error critical"));
    }

private:
    const Logger log_{"bine.test"};
};

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--say") == 0)
        return sayEverything();
    qunsetenv("BINE_LOG");
    QCoreApplication app(argc, argv);
    TestLogOutput test;
    return QTest::qExec(&test, argc, argv);
}
#include "test_log_output.moc"
