// The end of a chain whose result does not matter: ignoreFailures() and logFailures().

#include "defer/defer_testing.h"

#include <source_location>

#include "bine/defer/errors.h"

using bine::Deferred;
using bine::Resolver;

class IgnoredFailuresTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void ignoredBeforeItFails() {
        Resolver<int> answer;
        answer.deferred().ignoreFailures();
        answer.errback(oops());
    }
    void ignoredAfterItFailed() { bine::fail<std::string>(oops()).ignoreFailures(); }
    void ignoredWithAValue() {
        auto held = std::make_shared<int>(1);
        bine::succeed(held).ignoreFailures();
        QCOMPARE(held.use_count(), 1L);
    }
    void ignoredWhenItIsAbandoned() {
        Resolver<> answer;
        answer.deferred().ignoreFailures();
        answer = nullptr;
    }
    void anIgnoredOperationGoesOn() {
        int cancelled = 0, done = 0;
        Resolver<> answer([&] { ++cancelled; });
        answer.deferred().addCallback([&] { ++done; }).ignoreFailures();
        answer.callback();
        QCOMPARE(cancelled, 0);
        QCOMPARE(done, 1);
    }
    void aCoroutineIsIgnored() {
        const auto coroutine = []() -> Deferred<int> {
            throw oops();
            co_return 1;
        };
        coroutine().ignoreFailures();
    }
    void loggedAsAnErrorWithTextAndPlace() {
        Resolver<int> answer;
        const auto line = std::source_location::current().line() + 1;
        answer.deferred().logFailures("Cannot save the position");
        answer.errback(oops("disk full"));
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t{1});
        QVERIFY(events[0].level == bine::LogLevel::error);
        QVERIFY(events[0].message.find("Cannot save the position") != std::string::npos);
        QVERIFY(events[0].detail.find("disk full") != std::string::npos);
        QCOMPARE(events[0].where.line(), line);
        QVERIFY(std::string(events[0].where.file_name()).ends_with("ignored_failures_test.cpp"));
    }
    void loggedWithoutAText() {
        bine::fail(oops()).logFailures();
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t{1});
        QVERIFY(events[0].message.find("A Deferred failed") != std::string::npos);
    }
    void aValueIsNotLogged() { bine::succeed(1).logFailures("never"); }
    void anOwnersDeathIsNoFailure() {
        Resolver<> answer;
        {
            bine::Scope scope;
            answer.deferred().ownedBy(scope).logFailures("never");
        }
    }
};

QTEST_GUILESS_MAIN(IgnoredFailuresTest)
#include "ignored_failures_test.moc"
