// startApplication: a tree of services and its reactor. What all reactors do is in conformance/services.cpp.

#include "application/service_testing.h"

#include "bine/application/start_application.h"
#include "bine/defer/defer_later.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::EpollReactor;
using bine::MultiService;
using bine::Service;

namespace {

void runToTheEnd(bine::Reactor& reactor) {
    reactor.callWhenRunning([&] { reactor.stop(); });
    reactor.run();
}

} // namespace

class StartApplicationTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void itRunsWhileTheReactorDoes() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        auto started = bine::startApplication(reactor, a);
        QCOMPARE(story, std::string("p:a"));
        QVERIFY(!started.called() && !a.running());
        reactor.callWhenRunning([&] {
            QVERIFY(started.called() && a.running());
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(story, std::string("p:a +a -a"));
        QVERIFY(!a.parent());
    }
    void inARunningReactorItStartsAtOnce() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        reactor.callWhenRunning([&] {
            auto started = bine::startApplication(reactor, a);
            QVERIFY(started.called());
            QCOMPARE(story, std::string("p:a +a"));
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(story, std::string("p:a +a -a"));
    }
    void aPrivilegedStartThatWasMadeBeforeIsNotRepeated() {
        std::string story;
        EpollReactor reactor;
        MultiService root;
        Told a(story, "a", &root);
        root.privilegedStartService();
        bine::startApplication(reactor, root);
        runToTheEnd(reactor);
        QCOMPARE(story, std::string("p:a +a -a"));
    }
    void thePrivilegedStartsFailureIsThrown() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        a.onPrepare = [] { throw oops(); };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, bine::startApplication(reactor, a));
        QVERIFY(!a.parent());
        runToTheEnd(reactor);
        QCOMPARE(story, std::string("p:a"));
    }
    void theStartsFailureComesThroughTheDeferred() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a"), other(story, "b");
        a.onStart = [] { throw oops(); };
        auto started = bine::startApplication(reactor, a);
        bine::startApplication(reactor, other);
        std::string failure;
        started.addErrback([&](const bine::Failure& reason) {
            failure = reason.getErrorMessage();
            QVERIFY(!a.parent());
        });
        runToTheEnd(reactor);
        QCOMPARE(failure, std::string("oops"));
        QCOMPARE(story, std::string("p:a p:b +a -a +b -b"));
    }
    void itTakesASharedPointerWhichTheReactorKeeps() {
        std::string story;
        EpollReactor reactor;
        bine::Reactor& any = reactor;
        bine::startApplication(any, std::make_shared<Told>(story, "a"));
        auto root = std::make_shared<MultiService>();
        const std::shared_ptr<Service> child = std::make_shared<Told>(story, "b");
        child->setServiceParent(root);
        bine::startApplication(any, root);
        runToTheEnd(reactor);
        QCOMPARE(story, std::string("p:a p:b +a +b -b -a"));
    }
    void aNullPointerIsRefusedByName() {
        EpollReactor reactor;
        try {
            bine::startApplication(reactor, std::shared_ptr<Service>());
            QFAIL("it was taken");
        } catch (const std::invalid_argument& e) {
            QVERIFY2(std::string(e.what()).starts_with("startApplication: "), e.what());
        }
        Service service;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, service.setServiceParent(std::shared_ptr<MultiService>()));
        QVERIFY(!service.parent());
    }
    void theStopIsWaitedFor() {
        struct Slow : Service {
            explicit Slow(EpollReactor& reactor) : reactor_(reactor) {}
            Deferred<> stopService() override {
                co_await bine::deferLater(reactor_, 1ms);
                stopped = reactor_.running();
            }
            EpollReactor& reactor_;
            bool stopped = false;
        };
        EpollReactor reactor;
        Slow slow(reactor);
        bine::startApplication(reactor, slow);
        runToTheEnd(reactor);
        QVERIFY(slow.stopped);
    }
    void severalStopInReverseOrderAndEachFailureIsLoggedByName() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a"), b(story, "b");
        b.onStop = [] { throw oops(); };
        bine::startApplication(reactor, a);
        bine::startApplication(reactor, b);
        runToTheEnd(reactor);
        QCOMPARE(story, std::string("p:a p:b +a +b -b -a"));
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t(1));
        QCOMPARE(events.front().message, std::string("Unhandled error in stopping the service 'b'"));
    }
    void inTheReactorsNextRunItIsStartedAnew() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        for (int run = 0; run < 2; ++run) {
            bine::startApplication(reactor, a);
            runToTheEnd(reactor);
        }
        runToTheEnd(reactor); // nothing of it is left
        QCOMPARE(story, std::string("p:a +a -a p:a +a -a"));
    }
    void theReactorKeepsASharedOneUntilItHasStopped() {
        std::string story;
        EpollReactor reactor;
        std::weak_ptr<Told> weak;
        {
            const auto a = std::make_shared<Told>(story, "a");
            bine::startApplication(reactor, *a);
            weak = a;
        }
        QVERIFY(!weak.expired());
        runToTheEnd(reactor);
        QVERIFY(weak.expired());
        QCOMPARE(story, std::string("p:a +a -a"));
    }
    void oneThatDiesBeforeIsForgotten() {
        std::string story;
        EpollReactor reactor;
        std::optional<Told> a;
        a.emplace(story, "a");
        auto started = bine::startApplication(reactor, *a);
        a.reset();
        runToTheEnd(reactor);
        QVERIFY(started.called());
        QCOMPARE(story, std::string("p:a"));
    }
    void oneThatLeavesIsStoppedAndNotStarted() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        auto started = bine::startApplication(reactor, a);
        a.disownServiceParent();
        runToTheEnd(reactor);
        QVERIFY(started.called());
        QCOMPARE(story, std::string("p:a -a"));
    }
    void theShutdownWaitsForOneThatHasJustLeft() {
        std::string story;
        EpollReactor reactor;
        Told a(story, "a");
        a.slow.emplace();
        bine::startApplication(reactor, a);
        reactor.addSystemEventTrigger("during", "shutdown", [&] { story += " during"; });
        reactor.callWhenRunning([&] {
            a.disownServiceParent();
            reactor.stop();
            reactor.callLater(1ms, [&] {
                story += " end";
                a.slow->callback();
            });
        });
        reactor.run();
        QCOMPARE(story, std::string("p:a +a -a end during"));
    }
    void aReactorThatNeverRanLeavesNobodyWaiting() {
        std::string story;
        std::weak_ptr<Told> weak;
        std::optional<Deferred<>> started;
        {
            EpollReactor reactor;
            const auto a = std::make_shared<Told>(story, "a");
            started = bine::startApplication(reactor, *a);
            weak = a;
        }
        QVERIFY(started->called() && weak.expired());
        QCOMPARE(story, std::string("p:a"));
    }
    void oneThatOutlivesTheReactor() {
        std::string story;
        Told a(story, "a");
        {
            EpollReactor reactor;
            bine::startApplication(reactor, a);
            reactor.callWhenRunning([&] { reactor.crash(); });
            reactor.run();
        }
        QVERIFY(!a.parent());
        QCOMPARE(story, std::string("p:a +a")); // a crash stops nobody
    }
    void oneThatIsStillStoppingAtTheDeadlineIsLeftAndLogged() {
        std::string story;
        {
            EpollReactor reactor;
            reactor.setShutdownDeadline(1ms);
            const auto a = std::make_shared<Told>(story, "a");
            a->slow.emplace();
            bine::startApplication(reactor, *a);
            runToTheEnd(reactor);
            QCOMPARE(log_.recorder().flush().size(), std::size_t(1));
        }
        QCOMPARE(story, std::string("p:a +a -a"));
    }
    void theReactorDiesInTheStart() {
        std::string story;
        auto reactor = std::make_unique<EpollReactor>();
        const auto a = std::make_shared<Told>(story, "a");
        a->onStart = [&] { reactor.reset(); };
        bine::startApplication(*reactor, *a);
        reactor->run();
        QVERIFY(!reactor && !a->parent());
        QCOMPARE(story, std::string("p:a +a -a"));
    }
    void onlyARootCanBeStarted() {
        std::string story;
        EpollReactor reactor;
        MultiService root;
        Told a(story, "a", &root);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, bine::startApplication(reactor, a));
        bine::startApplication(reactor, root);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, bine::startApplication(reactor, root));
    }
};

QTEST_GUILESS_MAIN(StartApplicationTest)
#include "start_application_test.moc"
