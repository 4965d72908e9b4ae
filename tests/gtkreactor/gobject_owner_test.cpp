// GObjects as owners.

#include <glib-object.h>

#include <QtTest/QtTest>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/gtkreactor/gobject_owner.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;

namespace {

GObject* newObject() { return static_cast<GObject*>(g_object_new(G_TYPE_OBJECT, nullptr)); }

// As G_DECLARE_FINAL_TYPE makes them, twice derived.
struct Widget {
    GInitiallyUnowned parent_instance;
};
struct Window {
    Widget parent_instance;
    int more;
};
struct Unrelated {
    int parent_instance;
};
static_assert(bine::detail::IsGObject<GObject>::value);
static_assert(bine::detail::IsGObject<Window>::value);
static_assert(!bine::detail::IsGObject<Unrelated>::value);

} // namespace

class GobjectOwnerTest : public QObject {
    Q_OBJECT

private slots:
    void r268_aDeferredEndsWithItsOwner() {
        GObject* owner = newObject();
        auto captured = std::make_shared<int>(0);
        bine::Resolver<int> answer;
        answer.deferred().ownedBy(owner).addCallback([captured](int) { ++*captured; });
        g_object_unref(owner);
        QCOMPARE(captured.use_count(), 1L);
        answer.callback(1);
        QCOMPARE(*captured, 0);
    }

    void r268_delayedCallsEndWithTheirOwner() {
        bine::ManualClock clock;
        int calls = 0;
        GObject* owner = newObject();
        clock.callLater(1s, [&] { ++calls; }).ownedBy(owner);
        clock.callLater(3s, [&] { ++calls; }).ownedBy(*owner);
        clock.advance(2s);
        g_object_unref(owner);
        clock.advance(2s);
        QCOMPARE(calls, 1);
    }

    void r268_disposingIsEnough() {
        bine::ManualClock clock;
        int calls = 0;
        GObject* owner = newObject();
        clock.callLater(1s, [&] { ++calls; }).ownedBy(owner);
        g_object_run_dispose(owner); // as destroying a widget does, whoever still holds a reference
        clock.advance(1s);
        QCOMPARE(calls, 0);
        clock.callLater(1s, [&] { ++calls; }).ownedBy(owner); // and it can own again
        clock.advance(1s);
        QCOMPARE(calls, 1);
        g_object_unref(owner);
    }

    void r268_theOwnerDiesInACallback() {
        GObject* owner = newObject();
        QStringList order;
        bine::Resolver<> answer;
        answer.deferred().ownedBy(owner).addCallback([&] {
            g_object_unref(owner);
            order << "first";
        }).addCallback([&] { order << "second"; });
        answer.callback();
        QCOMPARE(order, QStringList("first"));
    }

    void r268_ownedWhileItDies() {
        bine::ManualClock clock;
        int calls = 0;
        GObject* owner = newObject();
        auto atEnd = std::shared_ptr<void>(nullptr, [&](void*) { clock.callLater(1s, [&] { ++calls; }).ownedBy(owner); });
        clock.callLater(1s, [atEnd] {}).ownedBy(owner);
        atEnd.reset();
        g_object_unref(owner);
        clock.advance(2s);
        QCOMPARE(calls, 0);
    }

    void whatIsNoObjectIsRefused() {
        bine::ManualClock clock;
        auto call = clock.callLater(1s, [] {});
        Window memory{};
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, call.ownedBy(memory));
    }

    void anObjectOwnsOnOneThread() {
        bine::ManualClock clock;
        GObject* owner = newObject();
        clock.callLater(1s, [] {}).ownedBy(owner);
        bool refused = false;
        std::thread([&] {
            bine::ManualClock other;
            try {
                other.callLater(1s, [] {}).ownedBy(owner);
            } catch (const std::logic_error&) {
                refused = true;
            }
        }).join();
        g_object_unref(owner);
        QVERIFY(refused);
    }

    void r268_nothingStartsOnceTheLastReferenceWentElsewhere() {
        GObject* owner = newObject();
        bool ran = false;
        std::thread::id died;
        auto released = std::shared_ptr<void>(nullptr, [&](void*) { died = std::this_thread::get_id(); });
        bine::Resolver<int> answer;
        answer.deferred().ownedBy(owner).addCallback([&ran, released](int) { ran = true; });
        released.reset();
        std::thread([&] { g_object_unref(owner); }).join();
        answer.callback(1);
        QVERIFY(!ran);
        QCOMPARE(died, std::this_thread::get_id());
    }

    void r268_disposingElsewhereIsEnough() {
        GObject* owner = newObject();
        bool ran = false;
        bine::Resolver<> first, second;
        first.deferred().ownedBy(owner).addCallback([&] { ran = true; });
        std::thread([&] { g_object_run_dispose(owner); }).join();
        second.deferred().ownedBy(owner).addCallback([&] { ran = true; }); // it can own again
        first.callback();
        QVERIFY(!ran);
        g_object_unref(owner);
        second.callback();
        QVERIFY(!ran);
    }

    void r268_whatIsOwnedEndsWithItsThread() {
        GObject* owner = newObject();
        std::thread::id home, died;
        bine::ManualClock clock;
        std::thread([&] {
            home = std::this_thread::get_id();
            static thread_local std::unique_ptr<bine::Resolver<>> unanswered; // dies after what the thread's owners own
            unanswered = std::make_unique<bine::Resolver<>>();
            auto released = std::shared_ptr<void>(nullptr, [&](void*) { died = std::this_thread::get_id(); });
            unanswered->deferred().ownedBy(owner).addCallback([released] {});
        }).join();
        QVERIFY(died == home);
        int calls = 0;
        clock.callLater(1s, [&] { ++calls; }).ownedBy(owner); // another thread's owner by now
        g_object_unref(owner);
        clock.advance(1s);
        QCOMPARE(calls, 0);
    }

    void r268_ofManyThatDieAtAnyMomentNoneRunsAfterwards() {
        constexpr std::size_t many = 300;
        std::vector<GObject*> owners(many);
        std::vector<std::atomic<bool>> dead(many);
        std::vector<bine::Resolver<>> answers(many);
        std::vector<char> ran(many);
        for (std::size_t i = 0; i < many; ++i) {
            owners[i] = newObject();
            answers[i].deferred().ownedBy(owners[i]).addCallback([&ran, i] { ran[i] = true; });
        }
        std::thread killer([&] {
            for (std::size_t i = 0; i < many; ++i) {
                g_object_unref(owners[i]);
                dead[i].store(true, std::memory_order_release);
            }
        });
        for (std::size_t i = 0; i < many; ++i) {
            const bool wasDead = dead[i].load(std::memory_order_acquire);
            answers[i].callback();
            QVERIFY(!(wasDead && ran[i]));
        }
        killer.join();
    }

    void anOwnerThatDiesOnAnotherThread() {
        bine::ManualClock clock;
        GObject* owner = newObject();
        auto call = clock.callLater(1s, [] {}).ownedBy(owner);
        std::thread([&] { g_object_unref(owner); }).join();
        QVERIFY(call.active());
        while (g_main_context_iteration(nullptr, FALSE)) {
        }
        QVERIFY(!call.active());
    }
};

QTEST_APPLESS_MAIN(GobjectOwnerTest)
#include "gobject_owner_test.moc"
