// DeferredQueue: items and those who want them meet in order, and none gets lost on the way.

#include "defer/defer_testing.h"

#include <any>
#include <functional>
#include <optional>
#include <random>

#include "bine/defer/deferred_queue.h"
#include "bine/defer/owner.h"
#include "defer/small_stack.h"

using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::DeferredQueue;
using bine::Failure;
using bine::QueueLimits;
using bine::QueueOverflow;
using bine::QueueUnderflow;
using bine::Resolver;
using bine::Scope;

namespace {

/// Fetches an item and writes it down.
Deferred<> fetch(DeferredQueue<int>& queue, std::string& text) {
    return queue.get().addCallback([&text](int item) { text += std::to_string(item) + " "; });
}

}  // namespace

class DeferredQueueTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d085_putServesTheLongestWaiter() {
        DeferredQueue<int> queue;
        std::string text;
        queue.get().addCallback([&](int item) { text += "a" + std::to_string(item) + " "; });
        queue.get().addCallback([&](int item) { text += "b" + std::to_string(item) + " "; });
        QCOMPARE(queue.waiting(), std::size_t(2));
        queue.put(1);
        QCOMPARE(text, std::string("a1 "));
        queue.put(2);
        QCOMPARE(text, std::string("a1 b2 "));
        QCOMPARE(queue.pending(), std::size_t(0));
    }
    void d085_elseItKeepsTheItem() {
        DeferredQueue<int> queue;
        std::string text;
        for (int i = 1; i <= 3; ++i) queue.put(i);
        QCOMPARE(queue.pending(), std::size_t(3));
        fetch(queue, text);
        QCOMPARE(text, std::string("1 "));
        fetch(queue, text);
        fetch(queue, text);
        QCOMPARE(text, std::string("1 2 3 "));
        QCOMPARE(queue.pending(), std::size_t(0));
    }
    void d085_elseItIsQueueOverflow() {
        DeferredQueue<std::unique_ptr<int>> queue(QueueLimits().size(2));
        queue.put(std::make_unique<int>(1));
        queue.put(std::make_unique<int>(2));
        auto third = std::make_unique<int>(3);
        QVERIFY_THROWS_EXCEPTION(QueueOverflow, queue.put(std::move(third)));
        QVERIFY(third);  // was not taken
        queue.get();
        queue.put(std::move(third));
        QCOMPARE(queue.pending(), std::size_t(2));
    }
    void d085_withSizeZeroAnItemIsTakenOnlyIfSomebodyWaits() {
        DeferredQueue<int> queue(QueueLimits().size(0));
        std::string text;
        QVERIFY_THROWS_EXCEPTION(QueueOverflow, queue.put(1));
        fetch(queue, text);
        queue.put(2);
        QCOMPARE(text, std::string("2 "));
        QVERIFY_THROWS_EXCEPTION(QueueOverflow, queue.put(3));
    }
    void d085_getBeyondTheBacklogIsQueueUnderflow() {
        DeferredQueue<int> queue(QueueLimits().backlog(1));
        std::string text;
        fetch(queue, text);
        bool underflow = false;
        queue.get().addErrback([&](Failure failure) { return underflow = failure.check<QueueUnderflow>(), 0; });
        QVERIFY(underflow);
        QCOMPARE(queue.waiting(), std::size_t(1));
        queue.put(1);
        fetch(queue, text);
        queue.put(2);
        QCOMPARE(text, std::string("1 2 "));
    }
    void d085_withBacklogZeroGetTakesWhatIsThere() {
        DeferredQueue<int> queue(QueueLimits().backlog(0));
        std::string text;
        queue.put(1);
        fetch(queue, text);
        QCOMPARE(text, std::string("1 "));
        bool underflow = false;
        queue.get().addErrback([&](Failure failure) { return underflow = failure.check<QueueUnderflow>(), 0; });
        QVERIFY(underflow);
    }
    void d085_aCancelledGetCostsNoItem() {
        DeferredQueue<int> queue;
        std::string text;
        auto a = fetch(queue, text).addErrback([&](Failure failure) {
            failure.trap<CancelledError>();
            text += "cancelled ";
        });
        auto b = fetch(queue, text);
        a.cancel();
        QCOMPARE(text, std::string("cancelled "));
        QCOMPARE(queue.waiting(), std::size_t(1));
        queue.put(1);
        QCOMPARE(text, std::string("cancelled 1 "));
        auto c = fetch(queue, text).addErrback([](Failure) {});
        c.cancel();
        queue.put(2);
        QCOMPARE(queue.pending(), std::size_t(1));
    }
    void d085_neitherDoesOneWhoseOwnerDied() {
        DeferredQueue<int> queue;
        std::string text;
        {
            Scope scope;
            fetch(queue, text).ownedBy(scope);
        }
        QCOMPARE(queue.waiting(), std::size_t(0));
        queue.put(1);
        QCOMPARE(queue.pending(), std::size_t(1));
        QCOMPARE(text, std::string());
    }
    void d085_norOneWhoseOwnerIsJustDying() {
        // Another thing of the owner puts an item while the getter is dead, but has not left the line.
        DeferredQueue<int> queue;
        std::string text;
        Scope scope;
        fetch(queue, text).ownedBy(scope);
        auto next = fetch(queue, text);
        Resolver<> source([&] { queue.put(1); });
        auto younger = source.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(text, std::string("1 "));
        QCOMPARE(queue.pending(), std::size_t(0));
    }
    void d085_norOneThatWasPausedAndDied() {
        DeferredQueue<int> queue;
        std::string text;
        Scope scope;
        auto paused = fetch(queue, text).ownedBy(scope);
        paused.pause();
        queue.put(1);
        QCOMPARE(queue.pending(), std::size_t(0));  // promised
        queue.put(2);
        QCOMPARE(queue.pending(), std::size_t(1));
        scope.cancel();
        QCOMPARE(queue.pending(), std::size_t(2));
        fetch(queue, text);
        fetch(queue, text);
        QCOMPARE(text, std::string("1 2 "));
    }
    void d085_aPausedOneGetsItsItemWhenItGoesOn() {
        DeferredQueue<int> queue;
        std::string text;
        auto paused = fetch(queue, text);
        paused.pause();
        queue.put(1);
        queue.put(2);
        fetch(queue, text);
        QCOMPARE(queue.pending(), std::size_t(0));
        paused.unpause();
        QCOMPARE(text, std::string("1 2 "));
    }
    void d085_whatIsFullForAllButWhoWaits() {
        DeferredQueue<int> queue(QueueLimits().size(1));
        std::string text;
        queue.put(1);
        fetch(queue, text);
        fetch(queue, text);
        queue.put(2);
        queue.put(3);
        QVERIFY_THROWS_EXCEPTION(QueueOverflow, queue.put(4));
        QCOMPARE(text, std::string("1 2 "));
    }

    void aConsumerThatIsACoroutine() {
        DeferredQueue<std::string> queue;
        std::string text;
        const auto consume = [&]() -> Deferred<> {
            for (;;) {
                const std::string item = co_await queue.get();
                if (item.empty()) co_return;
                text += item;
            }
        };
        queue.put("a");
        auto done = consume();
        queue.put("b");
        queue.put(std::string("c"));
        QCOMPARE(text, std::string("abc"));
        queue.put("");
        QVERIFY(done.called());
        queue.put("d");
        QCOMPARE(queue.pending(), std::size_t(1));
    }
    void itemsOfAnyType() {
        DeferredQueue<std::any> queue;
        std::string text;
        queue.get().addCallback([&](std::any item) { text = std::any_cast<std::string>(item); });
        queue.put(std::any(std::string("in an any")));
        QCOMPARE(text, std::string("in an any"));
        DeferredQueue<std::vector<int>> vectors;
        std::size_t size = 0;
        vectors.get().addCallback([&](const std::vector<int>& item) { size = item.size(); });
        const std::vector<int> three{1, 2, 3};
        vectors.put(three);
        QCOMPARE(size, std::size_t(3));
    }
    void whoIsServedMayPutAndGet() {
        DeferredQueue<int> queue;
        std::string text;
        queue.get().addCallback([&](int item) {
            text += std::to_string(item) + " ";
            queue.put(item + 1);
            fetch(queue, text);
            queue.put(item + 2);
        });
        queue.put(1);
        QCOMPARE(text, std::string("1 2 "));
        QCOMPARE(queue.pending(), std::size_t(1));
    }
    void itsEndAbandonsAllWhoWaitAndReleasesTheItems() {
        auto held = std::make_shared<int>(1);
        std::optional<DeferredQueue<std::shared_ptr<int>>> queue(std::in_place);
        queue->put(held);
        queue.reset();
        QCOMPARE(held.use_count(), 1l);

        queue.emplace();
        int abandoned = 0;
        for (int i = 0; i < 3; ++i)
            queue->get().addErrback([&](Failure failure) {
                if (failure.check<AbandonedError>()) ++abandoned;
                return nullptr;
            });
        queue.reset();
        QCOMPARE(abandoned, 3);
    }
    void itsEndDoesNotWaitForThosePaused() {
        std::optional<DeferredQueue<int>> queue(std::in_place);
        std::string text;
        auto paused = fetch(*queue, text);
        paused.pause();
        queue->put(1);
        bool abandoned = false;
        queue->get().addErrback([&](Failure failure) { return abandoned = failure.check<AbandonedError>(), 0; });
        queue.reset();
        QVERIFY(abandoned);
    }
    void whoComesInALongRowOfHandOversWaitsBehind() {
        // Beyond a certain depth those who are served wait for each other's callbacks; nothing else may change.
        DeferredQueue<int> queue;
        constexpr int many = 50;
        std::vector<std::pair<int, int>> served;  // who, and which item
        for (int i = 0; i < many; ++i)
            queue.get().addCallback([&, i](int item) {
                served.emplace_back(i, item);
                queue.put(item + 1);
                queue.get().addCallback([&](int item) { served.emplace_back(many, item); });
            });
        queue.put(0);
        QVERIFY(served.size() >= many);
        for (int i = 0; i < many; ++i) QVERIFY(served[static_cast<std::size_t>(i)] == std::pair(i, i));
        QCOMPARE(queue.pending() + served.size(), std::size_t(many + 1));
        for (int i = 0; i < many; ++i) queue.put(0);
    }
    void itMayBeDestroyedByWhoIsServed() {
        auto queue = std::make_unique<DeferredQueue<int>>();
        std::string text;
        queue->get().addCallback([&](int item) {
            queue.reset();
            text = std::to_string(item);
        });
        bool abandoned = false;
        queue->get().addErrback([&](Failure failure) { return abandoned = failure.check<AbandonedError>(), 0; });
        queue->put(1);
        QCOMPARE(text, std::string("1"));
        QVERIFY(abandoned);
    }
    void whatWasPromisedComesAfterTheQueuesEnd() {
        std::optional<DeferredQueue<int>> queue(std::in_place);
        std::string text;
        auto paused = fetch(*queue, text);
        paused.pause();
        queue->put(1);
        queue.reset();
        paused.unpause();
        QCOMPARE(text, std::string("1 "));
    }

    void aHundredThousandNeedNoStack_data() {
        QTest::addColumn<int>("kind");
        QTest::newRow("each who is served puts the next") << 0;
        QTest::newRow("all wait") << 1;
        QTest::newRow("all are there") << 2;
        QTest::newRow("cancelled, the last first") << 3;
        QTest::newRow("the queue dies") << 4;
        QTest::newRow("a coroutine gets what is there") << 5;
        QTest::newRow("a coroutine gets what comes") << 6;
    }
    void aHundredThousandNeedNoStack() {
        QFETCH(int, kind);
        constexpr int many = 100'000;
        int served = 0, failed = 0;
        onSmallStack([&] {
            std::optional<DeferredQueue<int>> queue(std::in_place);
            std::vector<Deferred<>> waiting;
            const auto serve = [&](int item) {
                if (item == served) ++served;
                if (kind == 0 && served < many) queue->put(served);
            };
            const auto consume = [&]() -> Deferred<> {
                while (served < many) serve(co_await queue->get());
            };
            if (kind == 6) waiting.push_back(consume());
            if (kind == 2 || kind == 5 || kind == 6)
                for (int i = 0; i < many; ++i) queue->put(i);
            if (kind == 5) waiting.push_back(consume());
            if (kind < 5)
                for (int i = 0; i < many; ++i) waiting.push_back(queue->get().addCallback(serve).addErrback([&](Failure) { ++failed; }));
            if (kind == 0) queue->put(0);
            if (kind == 1)
                for (int i = 0; i < many; ++i) queue->put(i);
            if (kind == 3)
                for (auto d = waiting.rbegin(); d != waiting.rend(); ++d) d->cancel();
            if (kind == 4) queue.reset();
        });
        QCOMPARE(served, kind == 3 || kind == 4 ? 0 : many);
        QCOMPARE(failed, kind == 3 || kind == 4 ? many : 0);
    }

    // Whatever is put is fetched once, or still there.
    void d085_randomUseLosesNoItem() {
        for (unsigned seed = 1; seed <= 50; ++seed) {
            std::mt19937 random(seed);
            DeferredQueue<int> queue(QueueLimits().size(5).backlog(5));
            std::vector<int> all, seen;
            int next = 0, depth = 0;
            std::vector<Deferred<>> waiting;
            auto scope = std::make_unique<Scope>();
            std::function<void()> step = [&] {
                if (depth > 20) return;
                ++depth;
                const auto kind = random() % 8;
                if (kind < 3) {
                    const int item = next++;
                    try {
                        queue.put(item);
                        all.push_back(item);
                    } catch (const QueueOverflow&) {
                    }
                } else if (kind < 6) {
                    auto d = queue.get().addCallback([&](int item) {
                        seen.push_back(item);
                        step();
                    });
                    if (random() % 2) d.ownedBy(*scope);
                    if (random() % 8 == 0) d.pause();
                    waiting.push_back(std::move(d).addErrback([](Failure) {}));
                } else if (kind == 6 && !waiting.empty()) {
                    auto& one = waiting[random() % waiting.size()];
                    one.cancel();
                } else if (random() % 8 == 0) {
                    const auto dying = std::exchange(scope, std::make_unique<Scope>());
                }
                --depth;
            };
            for (int i = 0; i < 1000; ++i) step();
            depth = 100;
            for (auto& d : waiting) d.unpause();
            scope.reset();
            waiting.clear();
            while (queue.pending() != 0) queue.get().addCallback([&](int item) { seen.push_back(item); });
            std::sort(all.begin(), all.end());
            std::sort(seen.begin(), seen.end());
            QVERIFY2(seen == all, ("seed " + std::to_string(seed)).c_str());
        }
    }
};

QTEST_GUILESS_MAIN(DeferredQueueTest)
#include "deferred_queue_test.moc"
