// EpollReactor in a loop that somebody else runs: what its descriptor says.

#include <QtTest/QtTest>

#include <poll.h>

#include <thread>

#include "bine/reactors/errors.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

class EmbeddingTest : public QObject {
    Q_OBJECT

    /// The loop of docs/embedding.md, until done; false if it sleeps for longer than anything here takes.
    static bool loop(bine::EpollReactor& reactor, const bool& done) {
        pollfd fd{reactor.fileno(), POLLIN, 0};
        while (!done) {
            reactor.aboutToWait();
            if (::poll(&fd, 1, 10'000) == 0) return false;
            reactor.dispatch();
        }
        return true;
    }
    static bool readable(bine::EpollReactor& reactor) {
        pollfd fd{reactor.fileno(), POLLIN, 0};
        return ::poll(&fd, 1, 0) == 1;
    }

private slots:
    void theFirstDispatchStartsTheReactorWithoutAttach() {
        bine::EpollReactor reactor;
        bool done = false;
        reactor.callWhenRunning([&] { done = true; });
        QVERIFY(loop(reactor, done));
        QVERIFY(reactor.running());
    }

    void r017_stopInACallbackEndsAllPhases() {
        bine::EpollReactor reactor;
        bool done = false;
        reactor.addSystemEventTrigger("after", "shutdown", [&] { done = true; });
        reactor.callLater(1ms, [&] { reactor.stop(); });
        QVERIFY(loop(reactor, done));
        QVERIFY(!reactor.running());
    }

    void anIdleReactorsDescriptorIsQuiet() {
        bine::EpollReactor reactor;
        bool done = false;
        reactor.callLater(1ms, [&] { done = true; });
        QVERIFY(loop(reactor, done));
        reactor.dispatch();
        QVERIFY(!readable(reactor));
    }

    void aCallFromAThreadMakesItReadable() {
        bine::EpollReactor reactor;
        bool done = false;
        reactor.callWhenRunning([&] { done = true; });
        QVERIFY(loop(reactor, done));
        reactor.dispatch();
        done = false;
        std::thread([&] { reactor.callFromThread([&] { done = true; }); }).join();
        QVERIFY(readable(reactor));
        QVERIFY(loop(reactor, done));
    }

    void stoppedItDoesNothingUntilAttached() {
        bine::EpollReactor reactor;
        bool stopped = false;
        reactor.addSystemEventTrigger("after", "shutdown", [&] { stopped = true; });
        reactor.callWhenRunning([&] { reactor.stop(); });
        QVERIFY(loop(reactor, stopped));
        reactor.dispatch();
        QVERIFY(!reactor.running());
        reactor.attach();
        bool done = false;
        reactor.callWhenRunning([&] { done = true; });
        QVERIFY(loop(reactor, done));
    }

    void askingForTheDescriptorDoesNotKeepItFromRunningItsOwnLoop() {
        bine::EpollReactor reactor;
        reactor.fileno();
        reactor.callLater(0s, [&] { reactor.stop(); });
        reactor.run();
        QVERIFY(!reactor.running());
    }
};

QTEST_GUILESS_MAIN(EmbeddingTest)
#include "embedding_test.moc"
