// succeed() and fail(): nobody can tell them from a Deferred that was fired.

#include "defer/defer_testing.h"

#include "bine/defer/deferred_list.h"
#include "bine/defer/maybe_deferred.h"
#include "bine/defer/owner.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Result;

namespace {

using Make = std::function<Deferred<int>()>;

/// What a program sees of a Deferred, whatever it does with it: a line for each thing that it can do.
class Sight {
public:
    explicit Sight(bine::LogRecorder& recorder) : recorder_(recorder) {}

    std::string of(const Make& make) {
        text_.clear();
        look(make);
        addOnTheRvalue(make);
        addOnTheLvalue(make);
        control(make);
        own(make);
        await(make);
        giveAway(make);
        drop(make);
        return text_;
    }

private:
    void say(const std::string& line) { text_ += line + '\n'; }
    static std::string word(const Result<int>& result) { return result.isFailure() ? result.failure().getBriefTraceback() : std::to_string(*result); }
    /// What is in it now; it takes it off.
    void tell(const char* what, Deferred<int> d) {
        std::string got = "nothing yet";
        d.addBoth([&](const Result<int>& result) {
            got = word(result);
            return 0;
        });
        say(std::string(what) + ": " + got);
    }

    void look(const Make& make) {
        auto d = make();
        say("called: " + std::to_string(d.called()));
        say(d.describe());
        tell("value", std::move(d));
    }
    void addOnTheRvalue(const Make& make) {
        tell("addCallback", make().addCallback([](int value) { return value + 1; }));
        tell("to another type and back", make().addCallback([](int value) { return std::to_string(value); }).addCallback([](const std::string& text) {
            return static_cast<int>(text.size());
        }));
        tell("addErrback", make().addErrback([](const Failure&) { return -1; }));
        tell("addBoth", make().addBoth([](const Result<int>& result) { return result.isFailure() ? -1 : *result * 2; }));
        tell("addCallbacks", make().addCallbacks([](int) { return 5; }, [](const Failure&) { return 6; }));
        tell("a callback throws", make().addCallback([](int) -> int { throw oops("callback"); }));
        tell("an errback throws", make().addErrback([](const Failure&) -> int { throw oops("errback"); }));
        tell("a callback waits", make().addCallback([](int value) { return bine::succeed(value + 10); }));
        tell("for a coroutine", make().addCallback([](int value) -> Deferred<int> { co_return value + 20; }));
    }
    void addOnTheLvalue(const Make& make) {
        auto d = make();
        d.addCallback([](int value) { return value + 1; }).addErrback([](const Failure&) { return 3; });
        tell("on the lvalue", std::move(d));
    }
    void control(const Make& make) {
        auto cancelled = make();
        cancelled.cancel();
        tell("cancelled", std::move(cancelled));

        auto paused = make();
        paused.pause();
        std::string got = "nothing yet";
        paused.addBoth([&](const Result<int>& result) {
            got = word(result);
            return 0;
        });
        say("paused: " + got);
        paused.unpause();
        say("unpaused: " + got);

        bine::ManualClock clock;
        tell("with a timeout", make().addTimeout(1s, clock));
        say("timers: " + std::to_string(clock.getDelayedCalls().size()));

        auto referred = make();
        auto reference = referred.ref();
        say("by reference: " + reference.describe());
        reference.cancel();
        tell("after that", std::move(referred));
    }
    void own(const Make& make) {
        int calls = 0;
        {
            bine::Scope scope;
            auto d = make();
            d.pause();
            d.ownedBy(scope).addBoth([&](const Result<int>&) { return ++calls; });
        }
        say("calls after the owner's death: " + std::to_string(calls));
        bine::Scope scope;
        auto d = make();
        tell("owned", std::move(d.ownedBy(scope)));
    }
    void await(const Make& make) {
        const auto byRvalue = [](Deferred<int> d) -> Deferred<int> { co_return co_await std::move(d); };
        const auto byLvalue = [](Deferred<int> d) -> Deferred<int> { co_return co_await d + 1; };
        tell("awaited", byRvalue(make()));
        tell("awaited in its place", byLvalue(make()));
    }
    void giveAway(const Make& make) {
        tell("returned", bine::succeed(1).addCallback([&](int) { return make(); }));
        Resolver<int> target;
        auto d = target.deferred();
        make().chainDeferred(std::move(target));
        tell("chained", std::move(d));
        tell("by maybeDeferred", bine::maybeDeferred(make));
        std::vector<Deferred<int>> members;
        members.push_back(make());
        bine::deferredList(std::move(members), bine::DeferredListOptions().consumeErrors()).addCallback([&](const std::vector<Result<int>>& results) {
            say("in a list: " + word(results.front()));
        });
    }
    void drop(const Make& make) {
        make();
        for (const auto& event : recorder_.flush()) say("in the log: " + event.message);
    }

    bine::LogRecorder& recorder_;
    std::string text_;
};

}  // namespace

class SucceedFailTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::string seen(const Make& make) { return Sight(log_.recorder()).of(make); }

private slots:
    void cleanup() { log_.check(); }

    void d061_whatSucceededIsLikeWhatWasFired() {
        const auto fired = [] {
            Resolver<int> resolver;
            auto d = resolver.deferred();
            resolver.callback(7);
            return d;
        };
        const std::string expected = seen(fired);
        QVERIFY(expected.find("addCallback: 8\n") != std::string::npos);
        QCOMPARE(QString::fromStdString(seen([] { return bine::succeed(7); })), QString::fromStdString(expected));
    }
    void d062_whatFailedIsLikeWhatWasFiredWithAFailure() {
        const auto fired = [] {
            Resolver<int> resolver;
            auto d = resolver.deferred();
            resolver.errback(oops());
            return d;
        };
        const std::string expected = seen(fired);
        QVERIFY(expected.find("addErrback: -1\n") != std::string::npos);
        QVERIFY(expected.find("in the log: Unhandled error in Deferred\n") != std::string::npos);
        QCOMPARE(QString::fromStdString(seen([] { return bine::fail<int>(oops()); })), QString::fromStdString(expected));
    }
    void d061_succeedMayCarryNothingOrWhatCannotBeCopied() {
        int calls = 0;
        bine::succeed().addCallback([&] { ++calls; });
        bine::succeed(std::make_unique<int>(5)).addCallback([&](std::unique_ptr<int> value) { calls += *value; });
        QCOMPARE(calls, 6);
    }
    void d062_failSaysWhereItWasCalled() {
        std::string trace;
        const auto line = std::source_location::current().line() + 1;
        bine::fail<>(oops()).addErrback([&](const Failure& failure) { trace = failure.getTraceback(); });
        QVERIFY2(trace.find("succeed_fail_test.cpp:" + std::to_string(line)) != std::string::npos, trace.c_str());
    }
    void d062_failOfNoExceptionSaysSo() {
        bool told = false;
        bine::fail<>(Failure()).addErrback([&](const Failure& failure) { told = failure.check<bine::NoCurrentExceptionError>() != nullptr; });
        QVERIFY(told);
    }
};

QTEST_GUILESS_MAIN(SucceedFailTest)
#include "succeed_fail_test.moc"
