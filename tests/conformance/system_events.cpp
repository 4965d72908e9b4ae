// Contract 2.B, R-021 to R-031: system events and their triggers. (R-030 is in services.cpp.)

#include <algorithm>
#include <atomic>
#include <thread>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/reactors/defer_to_thread.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Phase;
using bine::Resolver;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

/// A protocol that tells what happens to it.
class Telling : public bine::Protocol {
public:
    std::function<void()> made, got;
    std::function<void(const bine::Failure&)> lost;

    void connectionMade() override {
        if (made)
            made();
    }
    void dataReceived(std::string_view) override {
        if (got)
            got();
    }
    void connectionLost(const bine::Failure& reason) override {
        if (lost)
            lost(reason);
    }
};

} // namespace

class SystemEventsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r021_thePhasesComeInTheirOrder() {
        Steps steps;
        for (const char* phase : {"after", "before", "during"}) {
            reactor().addSystemEventTrigger(phase, "shutdown", steps.adder(std::string(phase) + "1"));
            reactor().addSystemEventTrigger(phase, "shutdown", steps.adder(std::string(phase) + "2"));
        }
        runToTheEnd();
        QCOMPARE(steps.text(), "before1 before2 during1 during2 after1 after2");
    }

    void r021_aPhaseCanBeGivenByValue() {
        Steps steps;
        reactor().addSystemEventTrigger(Phase::after, "tea", steps.adder("after"));
        reactor().addSystemEventTrigger(Phase::during, "tea", steps.adder("during"));
        reactor().addSystemEventTrigger(Phase::before, "tea", steps.adder("before"));
        reactor().fireSystemEvent("tea");
        QCOMPARE(steps.text(), "before during after");
    }

    void r021_anUnknownPhaseIsRefused() {
        for (const char* phase : {"upon", "", "Before", "before "})
            QVERIFY_THROWS_EXCEPTION(
                std::invalid_argument,
                reactor().addSystemEventTrigger(phase, "shutdown", [] { QFAIL("it was refused"); }));
        runToTheEnd();
    }

    void r021_aTriggerThatIsAddedMeanwhileRunsInItsPhase() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "tea", [&] {
            steps.add("before");
            reactor().addSystemEventTrigger("before", "tea", steps.adder("before2"));
            reactor().addSystemEventTrigger("after", "tea", steps.adder("after"));
        });
        reactor().addSystemEventTrigger("during", "tea", steps.adder("during"));
        reactor().fireSystemEvent("tea");
        QCOMPARE(steps.text(), "before before2 during after");
    }

    void r022_argumentsAreHandedOver() {
        std::string got;
        reactor().addSystemEventTrigger(
            "during", "tea",
            [&](int cups, const std::string& with) { got = std::to_string(cups) + " with " + with; }, 2,
            std::string("milk"));
        reactor().fireSystemEvent("tea");
        QCOMPARE(got, std::string("2 with milk"));
    }

    void r022_movedArgumentsAreHandedOver() {
        int got = 0;
        reactor().addSystemEventTrigger(
            "before", "tea", [&](std::unique_ptr<int> value) { got = *value; }, std::make_unique<int>(7));
        reactor().fireSystemEvent("tea");
        QCOMPARE(got, 7);
    }

    void r022_oncePerRegistration() {
        int called = 0;
        const auto trigger = [&] { ++called; };
        reactor().addSystemEventTrigger("during", "tea", trigger);
        reactor().addSystemEventTrigger("during", "tea", trigger);
        reactor().fireSystemEvent("tea");
        QCOMPARE(called, 2);
        reactor().fireSystemEvent("tea");
        QCOMPARE(called, 2);
    }

    void r022_whatATriggerHoldsIsReleased() {
        auto held = std::make_shared<int>(1);
        reactor().addSystemEventTrigger("during", "tea", [held] {});
        QCOMPARE(held.use_count(), 2l);
        reactor().fireSystemEvent("tea");
        QCOMPARE(held.use_count(), 1l);
    }

    void r023_aTriggerThatThrowsIsLoggedAndTheRestRun() {
        Steps steps;
        for (const char* phase : {"before", "during", "after"}) {
            reactor().addSystemEventTrigger(
                phase, "shutdown", [phase] { throw std::runtime_error(std::string("bad ") + phase); });
            reactor().addSystemEventTrigger(phase, "shutdown", steps.adder(phase));
        }
        runToTheEnd();
        QCOMPARE(steps.text(), "before during after");
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(3));
        QVERIFY2(errors[0].find("bad before") != std::string::npos, errors[0].c_str());
        QVERIFY2(errors[1].find("bad during") != std::string::npos, errors[1].c_str());
        QVERIFY2(errors[2].find("bad after") != std::string::npos, errors[2].c_str());
    }

    void r023_whatIsNoStdExceptionIsLoggedToo() {
        bool ran = false;
        reactor().addSystemEventTrigger("before", "startup", [] { throw 42; });
        reactor().addSystemEventTrigger("before", "startup", [&] { ran = true; });
        runToTheEnd();
        QVERIFY(ran);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r024_aRemovedTriggerDoesNotRun() {
        Steps steps;
        auto held = std::make_shared<int>(1);
        const auto trigger =
            reactor().addSystemEventTrigger("during", "shutdown", [&, held] { steps.add("removed"); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("kept"));
        reactor().removeSystemEventTrigger(trigger);
        QCOMPARE(held.use_count(), 1l);
        runToTheEnd();
        QCOMPARE(steps.text(), "kept");
    }

    void r024_removingTwice() {
        Steps steps;
        const auto trigger = reactor().addSystemEventTrigger("during", "shutdown", steps.adder("removed"));
        reactor().removeSystemEventTrigger(trigger);
        reactor().removeSystemEventTrigger(trigger);
        runToTheEnd();
        QCOMPARE(steps.text(), "");
    }

    void r024_removingOneOfAnotherReactor() {
        const auto other = host().anotherReactor();
        const auto foreign = other->addSystemEventTrigger("during", "shutdown", [] {});
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().removeSystemEventTrigger(foreign));
        other->removeSystemEventTrigger(foreign); // there it was not touched
    }

    void r024_removingNothing() {
        reactor().removeSystemEventTrigger(bine::SystemEventTrigger());
    }

    void r024_removingWhenTheEventIsOver() {
        const auto trigger = reactor().addSystemEventTrigger("before", "tea", [] {});
        int runs = 0;
        const auto counted = reactor().addSystemEventTrigger("during", "tea", [&] { ++runs; });
        reactor().fireSystemEvent("tea");
        reactor().removeSystemEventTrigger(trigger);
        reactor().removeSystemEventTrigger(counted);
        QCOMPARE(runs, 1);
    }

    void r025_aBeforeTriggerRemovesALaterOne_data() {
        QTest::addColumn<QString>("phase");
        for (const char* phase : {"before", "during", "after"})
            QTest::newRow(phase) << phase;
    }

    void r025_aBeforeTriggerRemovesALaterOne() {
        QFETCH(QString, phase);
        Steps steps;
        bine::SystemEventTrigger later;
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            reactor().removeSystemEventTrigger(later);
            steps.add("removes");
        });
        later = reactor().addSystemEventTrigger(qPrintable(phase), "shutdown", steps.adder("removed"));
        for (const char* each : {"before", "during", "after"})
            reactor().addSystemEventTrigger(each, "shutdown", steps.adder(each));
        runToTheEnd();
        QCOMPARE(steps.text(), "removes before during after");
    }

    void r026_removingOneThatHasRunIsAWarning() {
        std::vector<std::string> warnings;
        const auto listening = bine::addLogObserver(
            [&](const bine::LogEvent& event) {
                if (event.level == bine::LogLevel::warn)
                    warnings.push_back(event.message);
            },
            bine::LogLevel::warn);
        Steps steps;
        const auto first = reactor().addSystemEventTrigger("before", "shutdown", steps.adder("first"));
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            reactor().removeSystemEventTrigger(first);
            steps.add("second");
        });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        runToTheEnd();
        QCOMPARE(steps.text(), "first second during");
        QCOMPARE(warnings.size(), std::size_t(1));
    }

    void r026_oneThatRemovesItself() {
        int warnings = 0;
        const auto listening = bine::addLogObserver(
            [&](const bine::LogEvent& event) { warnings += event.level == bine::LogLevel::warn; },
            bine::LogLevel::warn);
        bool ran = false;
        bine::SystemEventTrigger self;
        self = reactor().addSystemEventTrigger("before", "shutdown", [&] {
            reactor().removeSystemEventTrigger(self);
            ran = true;
        });
        runToTheEnd();
        QVERIFY(ran);
        QCOMPARE(warnings, 1);
    }

    void r027_removalWhileDeferredsAreWaitedFor() {
        Steps steps;
        Resolver<> answer;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        const auto during = reactor().addSystemEventTrigger("during", "shutdown", steps.adder("removed"));
        const auto after = reactor().addSystemEventTrigger("after", "shutdown", steps.adder("removed"));
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(5ms, [&] {
            reactor().removeSystemEventTrigger(during);
            reactor().removeSystemEventTrigger(after);
            steps.add("fires");
            answer.callback();
        });
        run();
        QCOMPARE(steps.text(), "fires during");
    }

    void r028_firingAnEarliersDeferredSkipsNobody() {
        Steps steps;
        Resolver<> answer;
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            steps.add("one");
            return answer.deferred();
        });
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            steps.add("two");
            answer.callback();
        });
        reactor().addSystemEventTrigger("before", "shutdown", steps.adder("three"));
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        runToTheEnd();
        QCOMPARE(steps.text(), "one two three during");
    }

    void r028_norDoesOneWhoseDeferredHadFired() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "tea", [&] { return bine::succeed(); });
        reactor().addSystemEventTrigger("before", "tea", steps.adder("two"));
        reactor().addSystemEventTrigger("during", "tea", steps.adder("during"));
        reactor().fireSystemEvent("tea");
        QCOMPARE(steps.text(), "two during");
    }

    void r029_twoEventsAtATime() {
        Steps steps;
        Resolver<> answer;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("shutdown"));
        for (const char* phase : {"before", "during", "after"})
            reactor().addSystemEventTrigger(phase, "persist", steps.adder(phase));
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(5ms, [&] {
            reactor().fireSystemEvent("persist");
            steps.add("fires");
            answer.callback();
        });
        run();
        QCOMPARE(steps.text(), "before during after fires shutdown");
    }

    void r029_bothWaitAndEndInTheOtherOrder() {
        Steps steps;
        Resolver<> shutdown, persist;
        reactor().addSystemEventTrigger("before", "persist", [&] { return persist.deferred(); });
        reactor().addSystemEventTrigger("during", "persist", steps.adder("persist"));
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return shutdown.deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("shutdown"));
        reactor().callWhenRunning([&] {
            reactor().fireSystemEvent("persist");
            reactor().stop();
        });
        reactor().callLater(5ms, [&] {
            persist.callback();
            steps.add("between");
            shutdown.callback();
        });
        run();
        QCOMPARE(steps.text(), "persist between shutdown");
    }

    void r029_oneInsideTheOther() {
        Steps steps;
        reactor().addSystemEventTrigger("during", "outer", [&] {
            steps.add("in");
            reactor().fireSystemEvent("inner");
            steps.add("out");
        });
        for (const char* phase : {"before", "during", "after"})
            reactor().addSystemEventTrigger(phase, "inner", steps.adder(phase));
        reactor().addSystemEventTrigger("after", "outer", steps.adder("end"));
        reactor().fireSystemEvent("outer");
        QCOMPARE(steps.text(), "in before during after out end");
    }

    void r031_duringShutdownKeepsItsOrder() {
        Steps steps;
        std::atomic<bool> disconnected{false};
        Wire wire(reactor(), [](std::string) {});
        wire.whenStopped([&] {
            steps.add(reactor().running() ? "still running" : "disconnected");
            disconnected = true;
        });
        // A worker that ends after the connections have: were the threads stopped first, they would be waited
        // for until the deadline.
        reactor().callWhenRunning([&] {
            bine::deferToThread(reactor(), [&] {
                reactor().callFromThread([&] { reactor().stop(); });
                while (!disconnected)
                    std::this_thread::yield();
            });
        });
        reactor().addSystemEventTrigger("before", "shutdown",
                                        [&] { steps.add(wire.open() ? "open" : "closed"); });
        reactor().addSystemEventTrigger("during", "shutdown", [&] {
            steps.add(reactor().threadPool().threads() == 0 ? "no threads" : "threads");
        });
        run();
        QCOMPARE(steps.text(), "open disconnected no threads");
    }

    void r031_aWorkerThatIsStuckIsLoggedAndLeft() {
        std::atomic<bool> go{false}, done{false};
        reactor().setShutdownDeadline(20ms);
        reactor().callWhenRunning([&] {
            bine::deferToThread(reactor(), [&] {
                reactor().callFromThread([&] { reactor().stop(); });
                while (!go)
                    std::this_thread::yield();
                done = true;
            });
        });
        run();
        QVERIFY(!done);
        go = true;
        while (!done)
            std::this_thread::yield();
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r031_connectionsAreLost() {
        int lost = 0, others = 0;
        const auto count = [&](const bine::Failure& reason) {
            ++(reason.check<bine::ConnectionLost>() ? lost : others);
            QVERIFY(!reactor().running());
        };
        connect([&](Telling& end) { end.lost = count; }, [&] { reactor().stop(); });
        run();
        QCOMPARE(lost, 2);
        QCOMPARE(others, 0);
    }

    void r031_oneThatThrowsDoesNotStopTheOthers() {
        int lost = 0;
        connect(
            [&](Telling& end) {
                end.lost = [&](const bine::Failure&) {
                    ++lost;
                    throw std::runtime_error("no luck");
                };
            },
            [&] { reactor().stop(); });
        run();
        QCOMPARE(lost, 2);
        QCOMPARE(loggedErrors().size(), std::size_t(2));
    }

    void r031_aBusyConnectionHearsOfItWhenItsCallbackReturns() {
        Steps steps;
        connect(
            [&](Telling& end) {
                end.got = [&] {
                    reactor().stop();
                    while (!steps.text().contains("over"))
                        reactor().iterate(1h);
                    steps.add("returns");
                };
                end.lost = [&](const bine::Failure& reason) {
                    steps.add(reason.check<bine::ConnectionLost>() ? "lost" : "other");
                };
            },
            [&] { ends_.front()->transport().write("x"); });
        reactor().addSystemEventTrigger("after", "shutdown", steps.adder("over"));
        run();
        QCOMPARE(steps.text(), "lost over returns lost");
    }

private:
    /// Connects two Tellings over loopback, and then calls `connected`.
    void connect(std::function<void(Telling&)> prepare, std::function<void()> connected) {
        ends_.clear();
        const auto make = [this, prepare, connected](const bine::Address&) {
            auto end = std::make_shared<Telling>();
            prepare(*end);
            end->made = [this, connected] {
                if (++made_ == 2)
                    reactor().callLater(0s, connected);
            };
            ends_.push_back(end);
            return end;
        };
        made_ = 0;
        reactor().callWhenRunning([this, make] {
            const auto port = bine::listenTCP(reactor(), 0, bine::Factory::make(make),
                                              bine::TCPServerOptions().listenOn("127.0.0.1"));
            bine::connectTCP(reactor(), "127.0.0.1", port.getHost().port(), bine::ClientFactory::make(make));
        });
    }

    std::vector<std::shared_ptr<Telling>> ends_;
    int made_ = 0;
};

int main(int argc, char** argv) { return bine::kit::runTests<SystemEventsTest>(argc, argv); }
#include "system_events.moc"
