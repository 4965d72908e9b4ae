// QObjects as owners.

#include <QtTest/QtTest>

#include <future>
#include <memory>
#include <stdexcept>
#include <thread>

#include "bine/defer/deferred.h"
#include "bine/net/factory.h"
#include "bine/net/memory_transport.h"
#include "bine/net/protocol.h"
#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;

namespace {

/// Moves the owner to a thread of its own and runs f there. Hands over by std:: alone: TSan does not see what Qt synchronises.
template <class F>
void onThreadOf(QObject* owner, F f) {
    std::promise<QThread*> there;
    std::promise<void> moved;
    std::thread thread([&] {
        there.set_value(QThread::currentThread());
        moved.get_future().wait();
        f();
    });
    owner->moveToThread(there.get_future().get());
    moved.set_value();
    thread.join();
}

/// A connection with signals and slots.
class QtProtocol final : public QObject, public bine::Protocol {};
class QtFactory final : public QObject, public bine::Factory {
    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
};
class QtScope final : public QObject, public bine::Scope {};

} // namespace

class QtOwnerTest : public QObject {
    Q_OBJECT

private slots:
    void r268_aDeferredEndsWithItsOwner() {
        auto owner = std::make_unique<QTimer>();
        auto captured = std::make_shared<int>(0);
        bine::Resolver<int> answer;
        answer.deferred().ownedBy(owner.get()).addCallback([captured](int) { ++*captured; });
        owner.reset();
        QCOMPARE(captured.use_count(), 1L);
        answer.callback(1);
        QCOMPARE(*captured, 0);
    }

    void r268_delayedCallsEndWithTheirOwner() {
        bine::ManualClock clock;
        int calls = 0;
        {
            QObject owner;
            clock.callLater(1s, [&] { ++calls; }).ownedBy(owner);
            clock.callLater(3s, [&] { ++calls; }).ownedBy(&owner);
            clock.advance(2s);
        }
        clock.advance(2s);
        QCOMPARE(calls, 1);
        QVERIFY(clock.getDelayedCalls().empty());
    }

    void aQObjectThatIsAProtocolOwnsUntilItsConnectionEnds() {
        bine::Resolver<> answer;
        auto protocol = std::make_shared<QtProtocol>();
        auto transport = std::make_shared<bine::MemoryTransport>();
        protocol->makeConnection(transport);
        int calls = 0;
        answer.deferred().ownedBy(protocol.get()).addCallback([&] { ++calls; });
        transport->loseConnection();
        transport->finish();
        answer.callback(); // the object lives still
        QCOMPARE(calls, 0);
    }

    void aQObjectThatIsAFactoryOrAScopeOwnsUntilThatEnds() {
        bine::Resolver<> first, second;
        int calls = 0;
        {
            const auto factory = std::make_shared<QtFactory>();
            QtScope scope;
            first.deferred().ownedBy(*factory).addCallback([&] { ++calls; });
            second.deferred().ownedBy(scope).addCallback([&] { ++calls; });
            scope.cancel();
            second.callback();
        }
        first.callback();
        QCOMPARE(calls, 0);
    }

    void r268_theOwnerDiesInACallback() {
        bine::ManualClock clock;
        auto owner = std::make_unique<QObject>();
        QStringList order;
        bine::Resolver<> answer;
        answer.deferred().ownedBy(owner.get()).addCallback([&] {
            owner.reset();
            order << "first";
        }).addCallback([&] { order << "second"; });
        answer.callback();
        QCOMPARE(order, QStringList("first"));
    }

    void r268_ownedWhileItDies() {
        bine::ManualClock clock;
        int calls = 0;
        auto owner = std::make_unique<QObject>();
        QObject* dying = owner.get();
        struct AtEnd {
            std::function<void()> f;
            explicit AtEnd(std::function<void()> f) : f(std::move(f)) {}
            ~AtEnd() { f(); }
        };
        auto atEnd = std::make_shared<AtEnd>([&] { clock.callLater(1s, [&] { ++calls; }).ownedBy(dying); });
        clock.callLater(1s, [atEnd] {}).ownedBy(owner.get());
        atEnd.reset();
        owner.reset();
        clock.advance(2s);
        QCOMPARE(calls, 0);
    }

    void r268_ownersOwnedByCallbacksOfOthers() {
        bine::ManualClock clock;
        std::vector<std::shared_ptr<QObject>> owners;
        for (int i = 0; i < 100; ++i) owners.push_back(std::make_shared<QObject>());
        for (int i = 0; i + 1 < 100; ++i) {
            auto next = owners[std::size_t(i) + 1];
            clock.callLater(1s, [next] {}).ownedBy(owners[std::size_t(i)].get());
        }
        std::weak_ptr<QObject> last = owners.back();
        auto first = owners.front();
        owners.clear();
        first.reset(); // each one's end releases the next
        QVERIFY(last.expired());
        QVERIFY(clock.getDelayedCalls().empty());
    }

    void anAddressUsedAgainIsAnotherOwner() {
        bine::ManualClock clock;
        int calls = 0;
        alignas(QObject) char place[sizeof(QObject)];
        for (int i = 0; i < 3; ++i) {
            auto* owner = new (place) QObject;
            clock.callLater(1s, [&] { ++calls; }).ownedBy(owner);
            if (i == 2) clock.advance(1s);
            owner->~QObject();
        }
        clock.advance(1s);
        QCOMPARE(calls, 1);
    }

    void anObjectOfAnotherThreadIsRefused() {
        bine::ManualClock clock;
        QThread thread;
        auto* owner = new QObject;
        owner->moveToThread(&thread);
        QObject::connect(&thread, &QThread::finished, owner, &QObject::deleteLater);
        auto call = clock.callLater(1s, [] {});
        QVERIFY_THROWS_EXCEPTION(std::logic_error, call.ownedBy(owner));
        thread.start();
        thread.quit();
        QVERIFY(thread.wait(20'000));
    }

    void r268_nothingStartsOnceItDiedOnTheThreadItMovedTo() {
        auto captured = std::make_shared<int>(0);
        auto* owner = new QObject;
        bine::Resolver<> answer;
        answer.deferred().ownedBy(owner).addCallback([captured] { ++*captured; });
        onThreadOf(owner, [owner] { delete owner; });
        answer.callback();
        QCOMPARE(*captured, 0);
        QCOMPARE(captured.use_count(), 1L);
    }

    void r268_withoutAReactorQtsLoopReleasesWhatItOwned() {
        auto* owner = new QObject;
        bine::Resolver<> answer;
        auto captured = std::make_shared<int>(0);
        answer.deferred().ownedBy(owner).addCallback([captured] {});
        std::thread([owner] { delete owner; }).join();
        QCOMPARE(captured.use_count(), 2L);
        QTRY_COMPARE(captured.use_count(), 1L);
    }

    void r268_anOwnerMayOwnOnTwoThreadsInTurn() {
        auto* owner = new QObject;
        int calls = 0;
        bine::Resolver<> here;
        here.deferred().ownedBy(owner).addCallback([&] { ++calls; });
        onThreadOf(owner, [&] {
            bine::Resolver<> there;
            there.deferred().ownedBy(owner).addCallback([&] { ++calls; });
            delete owner;
            there.callback();
        });
        here.callback();
        QCOMPARE(calls, 0);
    }

    void anOwnerThatDiesOnAnotherThread() {
        bine::QtReactor reactor;
        auto* owner = new QObject;
        bool called = false;
        auto call = reactor.callLater(1h, [&] { called = true; }).ownedBy(owner);
        QThread thread;
        owner->moveToThread(&thread);
        QObject::connect(&thread, &QThread::finished, owner, &QObject::deleteLater);
        thread.start();
        thread.quit();
        QVERIFY(thread.wait(20'000));
        QTRY_VERIFY(!call.active());
        QVERIFY(!called);
    }
};

QTEST_GUILESS_MAIN(QtOwnerTest)
#include "qt_owner_test.moc"
