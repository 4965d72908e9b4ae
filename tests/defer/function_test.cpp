// Function: where a callable lives, when it dies, and what an empty one does.
#include <QTest>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "bine/defer/function.h"

using bine::Function;

namespace {

/// Says where it is when it is called. Of `Size` bytes, on a multiple of `Alignment`.
template <std::size_t Size, std::size_t Alignment>
struct alignas(Alignment) Placed {
    std::array<char, Size> room{};
    const void* operator()() const { return this; }
};

template <std::size_t Size, std::size_t Alignment>
bool isWithin() {
    Function<const void*()> function(Placed<Size, Alignment>{});
    const auto place = reinterpret_cast<std::uintptr_t>(function()), begin = reinterpret_cast<std::uintptr_t>(&function);
    if (place % Alignment != 0) qFatal("a callable that wants %zu lies at %p", Alignment, function());
    return place >= begin && place < begin + sizeof function;
}

/// May throw when it is moved.
struct Uneasy {
    Uneasy() = default;
    Uneasy(const Uneasy&) {}
    const void* operator()() const { return this; }
};

}  // namespace

class FunctionTest : public QObject {
    Q_OBJECT

private slots:
    void smallCallablesAreInside() {
        QVERIFY((isWithin<1, 1>()));
        QVERIFY((isWithin<32, 1>()));
        QVERIFY((isWithin<32, alignof(void*)>()));
    }

    void largeOnesAreOutside() { QVERIFY((!isWithin<33, 1>())); }

    void strictlyAlignedOnesAreOutsideAndAligned() {
        QVERIFY((!isWithin<16, 16>()));
        QVERIFY((!isWithin<64, 64>()));
    }

    void thoseThatMayThrowWhenMovedAreOutside() {
        Function<const void*()> function{Uneasy()};
        const void* const place = function();
        Function<const void*()> moved(std::move(function));
        QCOMPARE(moved(), place);  // was not moved along
    }

    void aMoveTakesTheCallableAlong() {
        Function<int()> from([value = std::make_unique<int>(3)] { return *value; });
        Function<int()> to(std::move(from));
        QVERIFY(!from);
        QCOMPARE(to(), 3);
        to = std::move(from);
        QVERIFY(!to);
    }

    void assigningToItselfChangesNothing() {
        Function<int()> function([] { return 5; });
        Function<int()>& same = function;
        function = std::move(same);
        QCOMPARE(function(), 5);
    }

    void callingAnEmptyOneThrows() {
        Function<void()> function;
        QVERIFY_THROWS_EXCEPTION(std::bad_function_call, function());
        function = [] {};
        function();
        function = nullptr;
        QVERIFY_THROWS_EXCEPTION(std::bad_function_call, function());
    }

    void nothingToCallGivesAnEmptyOne() {
        QVERIFY(!Function<void()>(nullptr));
        QVERIFY(!Function<void()>(static_cast<void (*)()>(nullptr)));
        QVERIFY(!Function<void()>(std::function<void()>()));
        QVERIFY(!Function<void()>(Function<void()>()));
        QVERIFY(Function<void()>([] {}));
    }

    void whatWasHeldDiesWhenItIsReplaced() {
        const auto held = std::make_shared<int>();
        Function<void()> function([held] {});
        QCOMPARE(held.use_count(), 2);
        function = [] {};
        QCOMPARE(held.use_count(), 1);
        function = [held] {};
        function = nullptr;
        QCOMPARE(held.use_count(), 1);
        std::optional<Function<void()>> last([held] {});
        last.reset();
        QCOMPARE(held.use_count(), 1);
    }

    // Else it would be called, or destroyed, twice.
    void aDestructorMayUseTheFunctionThatItLeaves() {
        Function<int()> function;
        int seen = 0;
        std::shared_ptr<void> dying(nullptr, [&](void*) { seen = function(); });
        function = [dying] { return 1; };
        dying.reset();
        function = [] { return 2; };
        QCOMPARE(seen, 2);
    }

    void argumentsThatAreOnlyMovedArePassedOn() {
        Function<int(std::unique_ptr<int>)> function([](std::unique_ptr<int> value) { return *value; });
        QCOMPARE(function(std::make_unique<int>(7)), 7);
    }
};

QTEST_APPLESS_MAIN(FunctionTest)
#include "function_test.moc"
