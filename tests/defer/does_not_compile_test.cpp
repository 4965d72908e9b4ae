// What the compiler refuses of Deferreds and coroutines, and in which words. (Lists of Deferreds and maybeDeferred
// have theirs in their own tests.)

#include "defer/compiler.h"
#include "defer/defer_testing.h"

#include <type_traits>

using bine::Deferred;

namespace {

template <class P, class D>
concept CanAwait = requires(P promise, D deferred) { promise.await_transform(std::forward<D>(deferred)); };

const QByteArray head = "#include \"bine/defer/deferred.h\"\n";

}  // namespace

class DoesNotCompileTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d092_awaitingSomethingElseDoesNotCompile() {
        QCOMPARE(saidOf(head + "bine::Deferred<int> f(bine::Deferred<int> d) { co_return co_await d; }"), QString());
        const QString said = saidOf(head + "bine::Deferred<void> f() { co_await 5; }");
        QVERIFY(said.startsWith("rejected"));
        QVERIFY(said.contains("a coroutine that returns a Deferred can only await a Deferred"));
    }
    void d092_aCapturingTemporaryMustBeNamedFirstWhereTheCompilerIsWrong() {
        using Promise = bine::detail::Promise<int>;
        static_assert(CanAwait<Promise, Deferred<int>>);
        static_assert(CanAwait<Promise, Deferred<int>&>);
        static_assert(CanAwait<Promise, bine::NamedDeferred<int>&>);
        static_assert(!CanAwait<Promise, bine::NamedDeferred<int>>);
        const auto capturing = [text = std::string("x")](int) { return text.size(); };
        const auto trivial = [](int value) { return value; };
        using WithCapture = decltype(bine::succeed(1).addCallback(capturing));
        using WithoutCapture = decltype(bine::succeed(1).addCallback(trivial));
        static_assert(std::is_same_v<WithoutCapture, Deferred<int>>);
        static_assert(std::is_same_v<WithCapture, bine::NamedDeferred<std::size_t>> == bine::detail::kNameItFirst);
        QVERIFY(true);
    }
    void d014_changingTheTypeOfAnLvalueDoesNotCompile() {
        const QString said = saidOf(head + "void f(bine::Deferred<int>& d) { d.addCallback([](int) { return 1.5; }); }");
        QVERIFY(said.contains("on an lvalue a callback must return the type that the Deferred carries"));
    }
    void d014_anErrbackThatReturnsADeferredOfAnotherTypeDoesNotCompile() {
        const QString said = saidOf(head + "void f(bine::Deferred<double>& d) { d.addErrback([](bine::Failure) { return bine::succeed(1); }); }");
        QVERIFY(said.contains("an errback must lead back to the type that the Deferred carries"));
    }
};

QTEST_GUILESS_MAIN(DoesNotCompileTest)
#include "does_not_compile_test.moc"
