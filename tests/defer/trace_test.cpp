// trace::dump(): what waits for whom.

#include "defer/defer_testing.h"

#include "bine/defer/owner.h"
#include "bine/defer/trace.h"

using bine::Deferred;
using bine::Resolver;
using bine::Scope;

namespace {

std::string lineOf(std::uint_least32_t line) { return "trace_test.cpp:" + std::to_string(line) + " "; }

/// The lines of the dump.
std::vector<std::string> lines() {
    std::vector<std::string> all;
    std::istringstream text(bine::trace::dump());
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
}
bool has(const std::string& line, const std::string& part) { return line.find(part) != std::string::npos; }

std::uint_least32_t beginsAt = std::source_location::current().line() + 1;
Deferred<int> awaiting(Deferred<int> d) { co_return co_await d; }

}  // namespace

class TraceTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() {
        log_.check();
        QCOMPARE(bine::trace::dump(), std::string());  // what is gone is not listed
    }

    void oneThatIsNotFired() {
        Resolver<int> resolver;
        const auto here = std::source_location::current().line() + 1;
        auto d = resolver.deferred();
        d.addCallback([](int value) { return value; });
        const auto found = lines();
        QCOMPARE(found.size(), std::size_t(1));
        QVERIFY2(has(found[0], "made at ") && has(found[0], lineOf(here)), found[0].c_str());
        QVERIFY2(has(found[0], "1 callback, not fired yet"), found[0].c_str());
        resolver.callback(1);
    }
    void whatIsWaitedForStandsBelow() {
        Pair<int> inner, outer;
        outer.deferred.addCallback([&](int) { return awaiting(std::move(inner.deferred)); });
        outer.resolver.callback(1);
        const auto found = lines();
        QCOMPARE(found.size(), std::size_t(3));
        QVERIFY2(has(found[0], "made at ") && has(found[0], "waits for"), found[0].c_str());
        QVERIFY2(found[1].starts_with("  coroutine begun at ") && has(found[1], lineOf(beginsAt)) && has(found[1], "waits for"), found[1].c_str());
        QVERIFY2(found[2].starts_with("    made at ") && has(found[2], "not fired yet"), found[2].c_str());
        inner.resolver.callback(1);
    }
    void whatIsPausedOwnedAndFailed() {
        Scope scope;
        Pair<int> p;
        p.deferred.ownedBy(scope);
        const bine::Hold hold = p.deferred.hold();
        p.resolver.errback(oops());
        const auto found = lines();
        QCOMPARE(found.size(), std::size_t(1));
        QVERIFY2(has(found[0], "paused, owned, failed with std::runtime_error: oops"), found[0].c_str());
        p.deferred.addErrback([](const bine::Failure&) { return 0; });
    }
    void whatSeveralAwaitStandsBelowEach() {
        Pair<int> p;
        const auto both = [](Deferred<int>& d) -> Deferred<> { co_await d; };
        auto one = both(p.deferred);
        QCOMPARE(lines().size(), std::size_t(2));
        p.resolver.callback(1);
    }
    void atMostSoManyLines() {
        std::vector<Pair<int>> all(10);
        std::string text = bine::trace::dump(3);
        QCOMPARE(std::count(text.begin(), text.end(), '\n'), 4);
        QVERIFY2(text.ends_with("and 7 more\n"), text.c_str());
        for (auto& one : all) one.resolver.callback(1);
    }
};

QTEST_GUILESS_MAIN(TraceTest)
#include "trace_test.moc"
