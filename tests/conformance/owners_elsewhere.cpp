// Owners that die on another thread: what they own is at home on the reactor's thread, and nothing of it starts once they are dead.

#include <QtCore/QObject>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "bine/defer/cooperator.h"
#include "bine/defer/coroutine.h"
#include "bine/defer/deferred.h"
#include "bine/defer/looping_call.h"
#include "bine/defer/progress.h"
#include "bine/qtreactor/qt_owner.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/manual_clock.h"
#include "conformance/threads_testing.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace bine;
using namespace std::chrono_literals;
using nettest::Heard;

namespace {

/// Runs f when it is destroyed.
class AtEnd {
public:
    explicit AtEnd(std::function<void()> f) : f_(std::move(f)) {}
    ~AtEnd() { f_(); }

private:
    std::function<void()> f_;
};

std::shared_ptr<AtEnd> atEnd(std::function<void()> f) { return std::make_shared<AtEnd>(std::move(f)); }

/// Lives on the thread that made it and dies on another one, within die().
class Owner {
public:
    QObject* get() const { return object_; }
    void die() { std::thread([this] { dieHere(); }).join(); }
    void dieHere() {
        delete object_;
        object_ = nullptr;
    }
    ~Owner() { delete object_; }

private:
    QObject* object_ = new QObject;
};

class CountingReader : public ReadDescriptor {
public:
    explicit CountingReader(int fd) : fd_(fd) {}
    int fileno() const override { return fd_; }
    IoResult doRead() override {
        ++reads;
        return {};
    }
    void connectionLost(const Failure&) override { ++losses; }
    int reads = 0, losses = 0;

private:
    int fd_;
};

} // namespace

class OwnersElsewhereTest : public kit::ReactorTest {
    Q_OBJECT

private slots:
    void r268_noCallbackStarts() {
        Owner owner;
        std::thread::id died;
        bool ran = false;
        Resolver<int> answer;
        answer.deferred().ownedBy(owner.get()).addCallback([&ran, probe = Probe(died)](int) { ran = true; });
        owner.die();
        answer.callback(1);
        QVERIFY(!ran);
        QCOMPARE(died, std::this_thread::get_id());
    }

    void r268_noErrbackStarts() {
        Owner owner;
        bool ran = false;
        Resolver<int> answer;
        answer.deferred().ownedBy(owner.get()).addErrback([&](const Failure&) { return ran = true, 0; });
        owner.die();
        answer.errback(NoLuck(1));
        QVERIFY(!ran);
    }

    void r268_aCallbackThatIsAddedLaterDoesNotRun() {
        Owner owner;
        bool ran = false;
        Resolver<int> answer;
        Deferred<int> deferred = answer.deferred().ownedBy(owner.get());
        answer.callback(1);
        owner.die();
        deferred.addCallback([&](int value) { return ran = true, value; });
        QVERIFY(!ran);
    }

    void r268_theCallbackThatRunsGoesOnAndTheNextDoesNotStart() {
        Owner owner;
        kit::Steps steps;
        Resolver<> answer;
        answer.deferred()
            .ownedBy(owner.get())
            .addCallback([&] {
                owner.die();
                steps.add("first");
            })
            .addCallback(steps.adder("second"));
        answer.callback();
        QCOMPARE(steps.text(), "first");
    }

    void r268_aNestedLoopInsideItsCallbackCarriesTheDeathOut() {
        Owner owner;
        kit::Steps steps;
        Resolver<> answer;
        answer.deferred()
            .ownedBy(owner.get())
            .addCallback([&, released = atEnd(steps.adder("released"))] {
                owner.die();
                onePass();
                steps.add("first");
            })
            .addCallback(steps.adder("second"));
        answer.callback();
        QCOMPARE(steps.text(), "first released");
    }

    void r268_whatWaitsForItIsNotRunEither() {
        Owner owner;
        bool ran = false;
        Resolver<int> inner;
        succeed().ownedBy(owner.get()).addCallback([&] { return inner.deferred(); }).addCallback([&](int) { ran = true; });
        owner.die();
        inner.callback(1);
        QVERIFY(!ran);
    }

    void r268_aCoroutineIsNotResumed() {
        Owner owner;
        kit::Steps steps;
        Resolver<> answer;
        waitsFor(answer, steps).ownedBy(owner.get());
        owner.die();
        answer.callback();
        QCOMPARE(steps.text(), "begun unwound");
    }

    void r268_theOperationIsCancelledAtItsSource() {
        Owner owner;
        bool cancelled = false;
        Resolver<int> answer([&] { cancelled = true; });
        answer.deferred().ownedBy(owner.get()).addCallback([](int) {});
        owner.die();
        reactor().callLater(0s, [] {}); // of nobody: it is the next callback
        onePass();
        onePass();
        QVERIFY(cancelled);
    }

    void r268_aDelayedCallOfTheSameTurnDoesNotRun() {
        Owner owner;
        kit::Steps steps;
        reactor().callLater(0s, [&] {
            reactor().callLater(0s, [&] { owner.die(); });
            reactor().callLater(0s, steps.adder("owned")).ownedBy(owner.get());
            reactor().callLater(0s, steps.adder("other"));
            reactor().callLater(1ms, steps.adder("owned")).ownedBy(owner.get());
            reactor().callLater(20ms, [&] { reactor().stop(); });
        });
        run();
        QCOMPARE(steps.text(), "other");
    }

    void r268_aManualClocksCallDoesNotRun() {
        ManualClock clock;
        Owner owner;
        bool ran = false;
        clock.callLater(1s, [&] { ran = true; }).ownedBy(owner.get());
        clock.callLater(0s, [&] { ran = true; }).ownedBy(owner.get());
        owner.die();
        clock.advance(2s);
        QVERIFY(!ran);
        QVERIFY(clock.getDelayedCalls().empty());
    }

    void r268_aLoopingCallStops() {
        ManualClock clock;
        Owner owner;
        int calls = 0;
        LoopingCall tick(clock, [&] { ++calls; });
        tick.ownedBy(owner.get());
        tick.start(1s);
        clock.advance(1s);
        QCOMPARE(calls, 2);
        owner.die();
        clock.advance(5s);
        QCOMPARE(calls, 2);
        QVERIFY(!tick.running());
    }

    void r268_aCooperativeTaskTakesNoFurtherStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        Owner owner;
        int other = 0, owned = 0;
        cooperator.cooperate([&] {
            owner.die();
            return ++other < 1;
        });
        cooperator.cooperate([&] { return ++owned < 5; }).ownedBy(owner.get());
        clock.advance(0s);
        clock.advance(1s);
        QCOMPARE(other, 1);
        QCOMPARE(owned, 0);
    }

    void r268_progressIsNotTold() {
        Owner owner;
        int told = 0;
        const auto progress = Progress<int>([&](int) { ++told; }).ownedBy(owner.get());
        progress.report(1);
        owner.die();
        progress.report(2);
        QCOMPARE(told, 1);
    }

    void r268_aConnectionHearsNothingMore() {
        nettest::Pair pair(reactor());
        QVERIFY(pair.connect());
        Owner owner;
        pair.server->transport().ownedBy(owner.get());
        pair.client->transport().write("too late");
        owner.die();
        QVERIFY(nettest::turnUntil(reactor(), [&] { return pair.client->lost(); }));
        nettest::turn(reactor());
        QCOMPARE(pair.server->data, std::string());
        QVERIFY(!pair.server->lost());
        endOf(pair);
    }

    void r268_aConnectionThatEndsMeanwhileHearsNothing() {
        nettest::Pair pair(reactor());
        QVERIFY(pair.connect());
        Owner owner;
        pair.server->transport().ownedBy(owner.get());
        pair.client->transport().abortConnection();
        pair.client->onLost = [&](Heard&) { owner.die(); };
        QVERIFY(nettest::turnUntil(reactor(), [&] { return pair.client->lost(); }));
        nettest::turn(reactor());
        QVERIFY(!pair.server->lost());
        endOf(pair);
    }

    void r268_aPortBuildsNoProtocol() {
        Owner owner;
        int built = 0;
        auto port = listenTCP(reactor(), 0, Factory::make([&](const Address&) { return ++built, std::make_shared<Heard>(); }),
                              TCPServerOptions().listenOn("127.0.0.1"));
        port.ownedBy(owner.get());
        auto client = std::make_shared<Heard>();
        connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), client).addErrback([](const Failure&) {
            return std::shared_ptr<Heard>();
        });
        owner.die();
        nettest::turn(reactor());
        QCOMPARE(built, 0);
        QVERIFY(!port.listening());
        client->transport().abortConnection();
        nettest::turn(reactor());
    }

    void r268_aConnectorsFactoryHearsNothingMore() {
        auto server = listenTCP(reactor(), 0, Factory::forProtocol<nettest::Echo>(), TCPServerOptions().listenOn("127.0.0.1"));
        Owner owner;
        auto factory = std::make_shared<nettest::Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const Address&) { return protocol; };
        connectTCP(reactor(), "127.0.0.1", server.getHost().port(), factory).ownedBy(owner.get());
        QVERIFY(nettest::turnUntil(reactor(), [&] { return protocol->count("made") == 1; }));
        protocol->transport().write("x");
        owner.die();
        nettest::turn(reactor());
        QVERIFY(!factory->lost);
        QCOMPARE(protocol->data, std::string());
        QVERIFY(!protocol->lost());
        server.stopListening();
        nettest::turn(reactor());
    }

    void r268_anAttemptOfADeadOwnerFailsUnheard() {
        auto server = listenTCP(reactor(), 0, Factory::forProtocol<nettest::Echo>(), TCPServerOptions().listenOn("127.0.0.1"));
        Owner owner;
        auto factory = std::make_shared<nettest::Client>();
        factory->build = [&](const Address&) { return std::make_shared<Heard>(); };
        connectTCP(reactor(), "127.0.0.1", server.getHost().port(), factory).ownedBy(owner.get());
        owner.die();
        nettest::turn(reactor());
        QCOMPARE(factory->events, (std::vector<std::string>{"start", "started", "stop"}));
        server.stopListening();
        nettest::turn(reactor());
    }

    void r268_aDescriptorIsNotServed() {
        int ends[2];
        QCOMPARE(::pipe2(ends, O_CLOEXEC), 0);
        CountingReader reader(ends[0]);
        Owner owner;
        reader.ownedBy(owner.get());
        reactor().addReader(reader);
        QCOMPARE(::write(ends[1], "x", 1), ssize_t(1));
        owner.die();
        nettest::turn(reactor());
        QCOMPARE(reader.reads, 0);
        QCOMPARE(reader.losses, 0);
        QVERIFY(reactor().getReaders().empty());
        ::close(ends[0]);
        ::close(ends[1]);
    }

    void r268_anIdleLoopReleasesWhatItOwned() {
        Owner owner;
        std::thread::id died;
        reactor().callLater(1h, [probe = Probe(died), end = atEnd([&] { reactor().stop(); })] {}).ownedBy(owner.get());
        std::thread other;
        reactor().callLater(0s, [&] { other = std::thread([&] { owner.dieHere(); }); });
        run();
        other.join();
        QCOMPARE(died, std::this_thread::get_id());
    }

    void r268_manyThatDieAtOnceEndInTheOrderOfTheirDeaths() {
        std::array<Owner, 50> owners;
        std::vector<std::size_t> released;
        for (std::size_t i = 0; i < owners.size(); ++i)
            reactor().callLater(1h, [end = atEnd([&released, i] { released.push_back(i); })] {}).ownedBy(owners[i].get());
        std::thread([&] {
            for (Owner& owner : owners)
                owner.dieHere();
        }).join();
        QVERIFY(released.empty());
        Resolver<> any;
        any.deferred().addCallback([] {});
        any.callback();
        QCOMPARE(released.size(), owners.size());
        QVERIFY(std::is_sorted(released.begin(), released.end()));
    }

    void r268_theEndOfOneDoesNotSetAnotherGoing() {
        Owner first, second;
        bool ran = false;
        Resolver<> answer;
        answer.deferred().ownedBy(second.get()).addCallback([&] { ran = true; });
        reactor().callLater(1h, [end = atEnd([&] { answer.callback(); })] {}).ownedBy(first.get());
        std::thread([&] {
            first.dieHere();
            second.dieHere();
        }).join();
        nettest::turn(reactor(), 3);
        onePass();
        QVERIFY(answer.called());
        QVERIFY(!ran);
    }

    void r268_aNestedLoopCarriesOutTheRest() {
        Owner first, second;
        kit::Steps steps;
        reactor()
            .callLater(1h, [end = atEnd([&] {
                                steps.add("first");
                                onePass();
                                onePass();
                                steps.add("after");
                            })] {})
            .ownedBy(first.get());
        reactor().callLater(1h, [end = atEnd(steps.adder("second"))] {}).ownedBy(second.get());
        std::thread([&] {
            first.dieHere();
            second.dieHere();
        }).join();
        reactor().callLater(0s, [&] { reactor().callLater(0s, [] {}); });
        reactor().callLater(20ms, [&] { reactor().stop(); });
        run();
        QCOMPARE(steps.text(), "first second after");
    }

    void r268_anAddressUsedAgainIsAnotherOwner() {
        alignas(QObject) std::byte place[sizeof(QObject)];
        kit::Steps steps;
        Resolver<> old, fresh;
        auto* owner = new (place) QObject;
        old.deferred().ownedBy(owner).addCallback(steps.adder("old"));
        std::thread([owner] { owner->~QObject(); }).join();
        owner = new (place) QObject;
        fresh.deferred().ownedBy(owner).addCallback(steps.adder("fresh"));
        old.callback();
        fresh.callback();
        QCOMPARE(steps.text(), "fresh");
        owner->~QObject();
    }

    void r268_whatIsOwnedEndsWithItsThread() {
        Owner* owner = nullptr;
        std::thread::id home, died;
        std::thread([&] {
            static thread_local std::unique_ptr<Deferred<>> kept;
            home = std::this_thread::get_id();
            owner = new Owner;
            Resolver<> answer([probe = Probe(died)] {});
            kept = std::make_unique<Deferred<>>(answer.deferred().ownedBy(owner->get()));
            static thread_local std::unique_ptr<Resolver<>> unanswered;
            unanswered = std::make_unique<Resolver<>>(std::move(answer));
        }).join();
        QVERIFY(died == home);
        owner->die(); // of no consequence
        delete owner;
    }

    void r268_aDeathThatIsKnownIsCarriedOutBeforeItsThreadEnds() {
        std::thread::id home, died;
        std::thread([&] {
            home = std::this_thread::get_id();
            Owner owner;
            ManualClock clock;
            clock.callLater(1s, [probe = Probe(died)] {}).ownedBy(owner.get());
            owner.die();
            Resolver<> any;
            any.deferred().addCallback([] {});
            any.callback();
            QVERIFY(died == home);
        }).join();
    }

    void r268_ofManyThatDieAtAnyMomentNoneRunsAfterwards() {
        struct Case {
            Owner owner;
            std::atomic<bool> dead{false};
            Resolver<> answer;
            bool ran = false;
        };
        std::list<Case> cases(300);
        for (Case& each : cases)
            each.answer.deferred().ownedBy(each.owner.get()).addCallback([&each] { each.ran = true; });
        std::thread killer([&] {
            for (Case& each : cases) {
                each.owner.dieHere();
                each.dead.store(true, std::memory_order_release);
            }
        });
        for (Case& each : cases) {
            const bool dead = each.dead.load(std::memory_order_acquire);
            each.answer.callback();
            QVERIFY(!(dead && each.ran));
        }
        killer.join();
    }

private:
    static Deferred<> waitsFor(Resolver<>& answer, kit::Steps& steps) {
        const auto unwound = atEnd(steps.adder("unwound"));
        steps.add("begun");
        auto awaited = answer.deferred();
        co_await std::move(awaited);
        steps.add("resumed");
    }

    void endOf(nettest::Pair& pair) {
        pair.port.stopListening();
        pair.client->transport().abortConnection();
        nettest::turn(reactor());
    }
};

int main(int argc, char** argv) { return kit::runTests<OwnersElsewhereTest>(argc, argv); }
#include "owners_elsewhere.moc"
