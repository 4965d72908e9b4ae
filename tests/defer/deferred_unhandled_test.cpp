// Failures that nobody handles.

#include "defer/defer_testing.h"

#include "bine/defer/unhandled.h"
#include "bine/reactors/native_reactors.h"

using bine::Deferred;
using bine::Failure;
using bine::Resolver;

class DeferredUnhandledTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::size_t reports() { return log_.recorder().flushErrors<std::runtime_error>().size(); }

    /// Asks for early warnings, and counts them.
    struct Early {
        explicit Early(unsigned turns) { bine::warnOfUnhandledErrors(turns); }
        ~Early() { bine::warnOfUnhandledErrors(0); }

        int warnings = 0;
        bine::LogSubscription observer =
            bine::addLogObserver([this](const bine::LogEvent& event) { warnings += event.level == bine::LogLevel::warn; }, bine::LogLevel::warn);
    };

private slots:
    void cleanup() { log_.check(); }

    void d047_anUnhandledFailureIsReportedOnceWhenTheDeferredDies() {
        {
            Pair<int> p;
            p.resolver.errback(oops("nobody cares"));
        }
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(events[0].level == bine::LogLevel::critical);
        QVERIFY(events[0].detail.find("runtime_error: nobody cares") != std::string::npos);
        QVERIFY(events[0].failure != nullptr);
    }
    void d047_aFailedHandleThatDiesReports() {
        bine::fail<int>(oops());
        QCOMPARE(reports(), std::size_t(1));
    }
    void d047_aFailureOfALateCallbackIsReported() {
        bine::succeed(1).addCallback([](int) { throw oops(); });
        QCOMPARE(reports(), std::size_t(1));
    }
    void d047_aFailureThatComesWhenTheHandleIsGoneIsReportedAtOnce() {
        Resolver<int> resolver;
        { auto d = resolver.deferred(); }
        resolver.errback(oops());
        QCOMPARE(reports(), std::size_t(1));
    }
    void d047_anAssignmentDropsToo() {
        auto d = bine::fail<int>(oops());
        d = bine::succeed(1);
        QCOMPARE(reports(), std::size_t(1));
    }
    void d047_aPausedFailureIsReportedWhenItDies() {
        {
            Pair<int> p;
            p.deferred.pause();
            p.resolver.errback(oops());
        }
        QCOMPARE(reports(), std::size_t(1));
    }

    void d048_noReportIfAnErrbackHandledIt() {
        {
            Pair<int> p;
            p.resolver.errback(oops());
            p.deferred.addErrback([](Failure) { return 0; });
        }
        QCOMPARE(reports(), std::size_t(0));
    }
    void d048_noReportIfItWasChainedIntoAnother() {
        Pair<int> outer;
        {
            Pair<int> inner;
            outer.deferred.addCallback([&](int) { return std::move(inner.deferred); });
            outer.resolver.callback(1);
            inner.resolver.errback(oops());
        }
        QCOMPARE(reports(), std::size_t(0));
        outer.deferred.addErrback([](Failure) { return 0; });
    }
    void d048_noReportOfAFailureThatWasForwarded() {
        Pair<int> two;
        {
            Pair<int> one;
            std::move(one.deferred).chainDeferred(std::move(two.resolver));
            one.resolver.errback(oops());
        }
        QCOMPARE(reports(), std::size_t(0));
        two.deferred.addErrback([](Failure) { return 0; });
    }
    void d048_noReportOfAFailureThatAnotherReplaced() {
        {
            Pair<int> p;
            p.deferred.addErrback([](Failure) -> int { throw std::logic_error("another"); });
            p.resolver.errback(oops());
        }
        QCOMPARE(reports(), std::size_t(0));
        QCOMPARE(log_.recorder().flushErrors<std::logic_error>().size(), std::size_t(1));
    }

    void d049_keepingAHandlePostponesTheReport() {
        auto d = std::make_unique<Deferred<int>>(bine::fail<int>(oops()));
        Pair<int> p;
        p.resolver.errback(oops());
        auto kept = std::move(p.deferred);
        QCOMPARE(reports(), std::size_t(0));
        d.reset();
        QCOMPARE(reports(), std::size_t(1));
        kept = bine::succeed(1);
        QCOMPARE(reports(), std::size_t(1));
    }
    void d049_aReferenceDoesNotPostponeIt() {
        bine::DeferredRef ref;
        {
            Pair<int> p;
            ref = p.deferred.ref();
            p.resolver.errback(oops());
        }
        QCOMPARE(reports(), std::size_t(1));
    }

    void d049_anEarlyWarningCanBeHad() {
        const Early early(2);
        bine::EpollReactor reactor;
        Pair<int> p;
        p.resolver.errback(oops());
        reactor.iterate();
        QCOMPARE(early.warnings, 0);
        for (int turn = 0; turn < 5; ++turn) reactor.iterate();
        QCOMPARE(early.warnings, 1);
        p.deferred.addErrback([](Failure) { return 0; });
    }
    void d049_whatWasHandledInTimeIsNotWarnedOf() {
        const Early early(2);
        bine::EpollReactor reactor;
        Pair<int> handled, awaited;
        handled.resolver.errback(oops());
        awaited.resolver.errback(oops());
        handled.deferred.addErrback([](Failure) { return 0; });
        const auto work = [](Deferred<int> d) -> Deferred<int> { co_return co_await d; };
        auto coroutine = work(std::move(awaited.deferred)).addErrback([](Failure) { return 0; });
        for (int turn = 0; turn < 5; ++turn) reactor.iterate();
        QCOMPARE(early.warnings, 0);
    }
    void d049_anObserverOfTheWarningMayEndWhatItIsAbout() {
        const Early early(1);
        bine::EpollReactor reactor;
        std::vector<Pair<int>> pairs(3);
        for (auto& pair : pairs) pair.resolver.errback(oops());
        bool inside = false;
        const auto observer = bine::addLogObserver([&](const bine::LogEvent&) {
            if (!std::exchange(inside, true)) pairs.clear();
        });
        reactor.iterate();
        reactor.iterate();
        QVERIFY(pairs.empty());
        QCOMPARE(reports(), std::size_t(3));
    }
    void d049_whatIsStillKeptIsReportedWhenTheReactorStopsAndNotAgain() {
        bine::EpollReactor reactor;
        Pair<int> kept, fine;
        kept.resolver.errback(oops());
        fine.resolver.callback(1);
        reactor.callWhenRunning([&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(reports(), std::size_t(1));
        kept.deferred = bine::succeed(1);
        QCOMPARE(reports(), std::size_t(0));
    }
    void whatStillWaitsWhenTheReactorStopsIsListedInADebugBuild() {
        std::string listed;
        const auto observer = bine::addLogObserver(
            [&](const bine::LogEvent& event) {
                if (event.message.find("outlive the reactor's run") != std::string::npos) listed += event.message;
            },
            bine::LogLevel::debug);
        Resolver<int> waits;
        const auto line = std::source_location::current().line() + 1;
        auto d = waits.deferred();
        bine::EpollReactor reactor;
        reactor.callWhenRunning([&] { reactor.stop(); });
        reactor.run();
        log_.recorder().flush();
        waits.callback(1);
#ifdef NDEBUG
        static_cast<void>(line);
        QCOMPARE(listed, std::string());
#else
        QVERIFY2(listed.find("deferred_unhandled_test.cpp:" + std::to_string(line)) != std::string::npos, listed.c_str());
#endif
    }
    void d049_aLaterFailureIsReportedAgain() {
        bine::EpollReactor reactor;
        Pair<int> kept;
        kept.resolver.errback(oops());
        reactor.callWhenRunning([&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(reports(), std::size_t(1));
        kept.deferred.addErrback([](Failure) -> int { throw oops("another"); });
        kept.deferred = bine::succeed(1);
        QCOMPARE(reports(), std::size_t(1));
    }

    void d050_theReportTellsWhereItWasMadeAndFired() {
        std::uint_least32_t made = 0, fired = 0;
        {
            Resolver<int> resolver;
            made = std::source_location::current().line() + 1;
            auto d = resolver.deferred();
            fired = std::source_location::current().line() + 1;
            resolver.errback(oops("once"));
        }
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t(1));
        const std::string& text = events[0].detail;
        QVERIFY(text.find("deferred_unhandled_test.cpp:" + std::to_string(made)) != std::string::npos);
        QVERIFY(text.find("deferred_unhandled_test.cpp:" + std::to_string(fired)) != std::string::npos);
        QCOMPARE(text.find("once"), text.rfind("once"));
        QVERIFY(events[0].message.find("once") == std::string::npos);
    }

    void d051_awaitingHandlesIt() {
        const auto work = [](Deferred<int> d) -> Deferred<int> {
            try {
                co_return co_await d;
            } catch (const std::runtime_error&) {
                co_return 1;
            }
        };
        {
            Pair<int> p;
            auto d = work(std::move(p.deferred));
            p.resolver.errback(oops());
            QVERIFY(d.called());
            auto e = work(bine::fail<int>(oops()));
        }
        QCOMPARE(reports(), std::size_t(0));
    }

    void d052_testsCanFlushReports() {
        bine::fail<int>(oops());
        bine::fail<int>(std::logic_error("other"));
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        QCOMPARE(log_.recorder().size(), std::size_t(1));
        QCOMPARE(log_.recorder().flush().size(), std::size_t(1));
        QVERIFY(log_.recorder().empty());
    }
    void d052_aTestThatLeavesAReportCanTell() {
        bine::LogRecorder recorder;
        bine::fail<int>(oops());
        QVERIFY(!recorder.empty());
        recorder.flush();
        log_.recorder().flush();
    }
};

QTEST_GUILESS_MAIN(DeferredUnhandledTest)
#include "deferred_unhandled_test.moc"
