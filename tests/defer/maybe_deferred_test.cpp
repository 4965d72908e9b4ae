// Deferreds of what functions do.

#include "defer/compiler.h"
#include "defer/group_testing.h"

#include "bine/defer/maybe_deferred.h"
#include "bine/defer/owner.h"

using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Result;
using bine::Scope;

namespace {

struct Request {
    int number = 7;
    int twice() const { return 2 * number; }
};

int half(int value) {
    if (value % 2) throw oops("odd");
    return value / 2;
}
Deferred<int> plusOne(Deferred<int> d) { co_return co_await d + 1; }

/// What has come out, as text; it goes on with it.
template <class T>
std::string textOf(Deferred<T>& d) {
    const auto text = std::make_shared<std::string>("nothing yet");
    d.addBoth([text](Result<T> result) {
        if (result.isFailure())
            *text = result.failure().getErrorMessage();
        else if constexpr (std::is_void_v<T>)
            *text = "nothing";
        else
            *text = std::to_string(result.value());
        return result;
    });
    return *text;
}
template <class T>
std::string textOf(Deferred<T>&& d) {
    std::string text = textOf(d);
    d.addErrback([](const Failure&) { return T(); });
    return text;
}

}  // namespace

class MaybeDeferredTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() {
        log_.check();
        nothingLives();
    }

    // --- maybeDeferred

    void d063_aValueIsOneThatHasFired() {
        auto d = bine::maybeDeferred(half, 4);
        static_assert(std::is_same_v<decltype(d), Deferred<int>>);
        QVERIFY(d.called());
        QCOMPARE(textOf(d), std::string("2"));
    }
    void d063_nothingToo() {
        int calls = 0;
        auto d = bine::maybeDeferred([&] { ++calls; });
        static_assert(std::is_same_v<decltype(d), Deferred<>>);
        QCOMPARE(textOf(d), std::string("nothing"));
        QCOMPARE(calls, 1);
    }
    void d063_aFailureFails() {
        auto d = bine::maybeDeferred([] { return Failure(oops("returned")); });
        static_assert(std::is_same_v<decltype(d), Deferred<>>);
        QVERIFY(d.called());
        d.addErrback([](const Failure& failure) { QCOMPARE(failure.getErrorMessage(), std::string("returned")); });
    }
    void d063_aResultIsWhatItHolds() {
        const auto f = [](bool fine) { return fine ? Result<int>(1) : Result<int>(oops("held")); };
        QCOMPARE(textOf(bine::maybeDeferred(f, true)), std::string("1"));
        QCOMPARE(textOf(bine::maybeDeferred(f, false)), std::string("held"));
    }
    void d063_anExceptionFails() {
        QCOMPARE(textOf(bine::maybeDeferred(half, 3)), std::string("odd"));
        QCOMPARE(textOf(bine::maybeDeferred([]() -> int { throw std::string("no exception class"); })), std::string("no exception class"));
        QCOMPARE(textOf(bine::maybeDeferred([]() -> Deferred<int> { throw oops("instead of a Deferred"); })), std::string("instead of a Deferred"));
    }
    void d063_aFailureThatNobodyTakesIsReported() {
        { auto d = bine::maybeDeferred(half, 3); }
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void d063_aDeferredComesBackAsItIs() {
        Pair<int> p;
        auto ref = p.deferred.ref();
        Deferred<int> d = bine::maybeDeferred([&] { return std::move(p.deferred); });
        QVERIFY(!d.called());
        QCOMPARE(d.describe(), std::string("not fired yet"));  // it does not wait for another
        d.pause();
        p.resolver.callback(1);
        QCOMPARE(textOf(d), std::string("nothing yet"));
        ref.unpause();
        QCOMPARE(textOf(d), std::string("1"));
    }
    void d063_itsOwnerOwnsItStill() {
        Pair<int> p;
        int calls = 0;
        {
            Scope scope;
            Deferred<int> d = bine::maybeDeferred([&] { return std::move(p.deferred).ownedBy(scope); });
            d.addBoth([&](Result<int> result) { return ++calls, result; });
        }
        QCOMPARE(calls, 0);
        QVERIFY(p.resolver.called());
    }
    void d063_aCoroutineRunsAtOnce() {
        Pair<int> p;
        auto d = bine::maybeDeferred(plusOne, std::move(p.deferred));
        QVERIFY(!d.called());
        p.resolver.callback(1);
        QCOMPARE(textOf(d), std::string("2"));
    }
    void d063_argumentsArePassedAsTheyAre() {
        auto pointer = std::make_unique<int>(3);
        QCOMPARE(textOf(bine::maybeDeferred([](std::unique_ptr<int> p) { return *p; }, std::move(pointer))), std::string("3"));
        int number = 1;
        bine::maybeDeferred([](int& n) { n = 2; }, number);
        QCOMPARE(number, 2);
        const Request request;
        QCOMPARE(textOf(bine::maybeDeferred(&Request::twice, request)), std::string("14"));
        QCOMPARE(textOf(bine::maybeDeferred(&Request::number, request)), std::string("7"));
        QCOMPARE(textOf(bine::maybeDeferred([](std::unique_ptr<int> p) { return bine::succeed(*p); }, std::make_unique<int>(4))), std::string("4"));
    }
    void d063_aCallableWithANameIsNotCopied() {
        Pair<int> p;
        struct Once {
            explicit Once(Deferred<int>& d) : d(d) {}
            Once(const Once&) = delete;
            Deferred<int> operator()() { return std::move(d); }
            Deferred<int>& d;
        };
        Once once(p.deferred);
        auto d = bine::maybeDeferred(once);
        static_assert(std::is_same_v<decltype(d), Deferred<int>>);
        p.resolver.callback(1);
        QCOMPARE(textOf(d), std::string("1"));
    }

    // --- A coroutine lambda that is a temporary

    void d063_capturesLiveUntilTheCoroutineIsDone() {
        Pair<int> p;
        auto held = std::make_shared<std::string>("a text that is too long for the buffer inside a string");
        std::string seen;
        Deferred<> d = bine::maybeDeferred([&seen, &p, held]() -> Deferred<> {
            const int value = co_await std::move(p.deferred);
            seen = *held + std::to_string(value);
        });
        QCOMPARE(held.use_count(), 2L);
        p.resolver.callback(7);
        QCOMPARE(seen, *held + "7");
        QCOMPARE(held.use_count(), 1L);
        QVERIFY(d.called());
    }
    void d063_soDoArgumentsThatItTakesByReference() {
        Pair<int> p;
        std::string seen;
        Deferred<> d = bine::maybeDeferred(
            [](const std::string& text, Deferred<int>& d, std::string& seen) -> Deferred<> {
                const int value = co_await d;
                seen = text + std::to_string(value);
            },
            std::string("a text that is too long for the buffer inside a string"), p.deferred, seen);
        p.resolver.callback(7);
        QCOMPARE(seen, std::string("a text that is too long for the buffer inside a string7"));
    }
    void d063_capturesGoWithTheDeferredWhenItFails() {
        Pair<int> p;
        auto held = std::make_shared<int>(1);
        Deferred<int> d = bine::maybeDeferred([&p, held]() -> Deferred<int> { co_return co_await std::move(p.deferred) + *held; });
        p.resolver.errback(oops());
        QCOMPARE(held.use_count(), 1L);
        QCOMPARE(textOf(std::move(d)), std::string("oops"));
    }
    void d063_capturesGoAtOnceIfItDoesNotWait() {
        auto held = std::make_shared<int>(1);
        Deferred<int> d = bine::maybeDeferred([held]() -> Deferred<int> { co_return *held; });
        QCOMPARE(held.use_count(), 1L);
        QCOMPARE(textOf(d), std::string("1"));
    }
    void r268_capturesGoWithTheOwner() {
        Pair<int> p;
        auto held = std::make_shared<int>(1);
        Scope scope;
        bine::maybeDeferred([&p, held]() -> Deferred<int> { co_return co_await std::move(p.deferred); }).ownedBy(scope);
        QCOMPARE(held.use_count(), 2L);
        scope.cancel();
        QCOMPARE(held.use_count(), 1L);
    }
    void r268_theFrameGoesBeforeItsCaptures() {
        Pair<int> p;
        std::string seen;
        struct End {
            End(const std::string& text, std::string& seen) : text(text), seen(seen) {}
            ~End() { seen = text; }
            const std::string& text;
            std::string& seen;
        };
        Scope scope;
        bine::maybeDeferred([&seen, &p, text = std::string("a text that is too long for the buffer inside a string")]() -> Deferred<int> {
            const End end(text, seen);
            co_return co_await std::move(p.deferred);
        }).ownedBy(scope);
        scope.cancel();
        QCOMPARE(seen, std::string("a text that is too long for the buffer inside a string"));
    }
    void r268_capturesAreThereWhileTheCoroutineRuns() {
        Pair<int> p, q;
        std::string seen;
        auto scope = std::make_unique<Scope>();
        bine::maybeDeferred([&, text = std::string("a text that is too long for the buffer inside a string")]() -> Deferred<int> {
            co_await std::move(p.deferred);
            scope.reset();
            seen = text;
            co_return co_await std::move(q.deferred);
        }).ownedBy(*scope);
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("a text that is too long for the buffer inside a string"));
    }
    void d063_whatIsAwaitedWithATemporaryCallableHasANameFirst() {
        const std::string text = "text";
        const auto temporary = bine::maybeDeferred([text] { return 1; });
        static_assert(std::is_same_v<decltype(temporary), const bine::detail::DeferredFor<int, std::string>>);
        const auto f = [text] { return 1; };
        const auto named = bine::maybeDeferred(f);
        static_assert(std::is_same_v<decltype(named), const Deferred<int>>);
    }

    // --- execute

    void d064_executeDoesTheSame() {
        QCOMPARE(textOf(bine::execute(half, 4)), std::string("2"));
        QCOMPARE(textOf(bine::execute(half, 3)), std::string("odd"));
        QCOMPARE(textOf(bine::execute([] { return Result<int>(oops("held")); })), std::string("held"));
        QCOMPARE(textOf(bine::execute([] {})), std::string("nothing"));
    }
    void d064_executeRefusesAFunctionThatReturnsADeferred() {
        QCOMPARE(saidOf("#include \"bine/defer/maybe_deferred.h\"\nint main() { bine::execute([] { return 1; }); }"), QString());
        const QString said = saidOf("#include \"bine/defer/maybe_deferred.h\"\nint main() { bine::execute([] { return bine::succeed(1); }); }");
        QVERIFY2(said.contains("execute() does not unpack a Deferred"), qPrintable(said));
    }

    // --- ensureDeferred

    void d065_ensureDeferredReturnsADeferredAsItIs() {
        Pair<int> p;
        QCOMPARE(&bine::ensureDeferred(p.deferred), &p.deferred);
        auto d = bine::ensureDeferred(std::move(p.deferred));
        static_assert(std::is_same_v<decltype(d), Deferred<int>>);
        p.resolver.callback(1);
        QCOMPARE(textOf(d), std::string("1"));
    }
    void d065_ensureDeferredTakesACoroutine() {
        auto d = bine::ensureDeferred(plusOne(bine::succeed(1)));
        QCOMPARE(textOf(d), std::string("2"));
    }
    void d065_ensureDeferredRefusesAllElse() {
        QCOMPARE(saidOf("#include \"bine/defer/maybe_deferred.h\"\nint main() { bine::ensureDeferred(bine::succeed(1)); }"), QString());
        const QString said = saidOf("#include \"bine/defer/maybe_deferred.h\"\nint main() { bine::ensureDeferred(1); }");
        QVERIFY2(said.contains("ensureDeferred() takes a Deferred"), qPrintable(said));
    }
};

QTEST_GUILESS_MAIN(MaybeDeferredTest)
#include "maybe_deferred_test.moc"
