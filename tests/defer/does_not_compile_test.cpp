// What the compiler refuses of Deferreds and coroutines, and in which words. (Lists of Deferreds and maybeDeferred
// have theirs in their own tests.)

#include "defer/defer_testing.h"

#include <QProcess>
#include <QTemporaryDir>

#include <type_traits>

using bine::Deferred;

namespace {

template <class P, class D>
concept CanAwait = requires(P promise, D deferred) { promise.await_transform(std::forward<D>(deferred)); };

}  // namespace

class DoesNotCompileTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    /// What the compiler says of this function body; "" if it accepts it.
    static QString compile(const char* body) {
        QTemporaryDir folder;
        QFile file(folder.filePath("x.cpp"));
        if (!file.open(QFile::WriteOnly)) return "no file";
        file.write("#include \"bine/defer/deferred.h\"\n");
        file.write(body);
        file.close();
        QProcess compiler;
        compiler.start(BINE_TEST_COMPILER, {"-std=c++20", "-fsyntax-only", "-I", BINE_TEST_INCLUDE, file.fileName()});
        compiler.waitForFinished(60000);
        const QString said = QString::fromLocal8Bit(compiler.readAllStandardError());
        return compiler.exitCode() == 0 ? QString() : "rejected: " + said;
    }

private slots:
    void cleanup() { log_.check(); }

    void d092_awaitingSomethingElseDoesNotCompile() {
        QCOMPARE(compile("bine::Deferred<int> f(bine::Deferred<int> d) { co_return co_await d; }"), QString());
        const QString said = compile("bine::Deferred<void> f() { co_await 5; }");
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
        const QString said = compile("void f(bine::Deferred<int>& d) { d.addCallback([](int) { return 1.5; }); }");
        QVERIFY(said.contains("on an lvalue a callback must return the type that the Deferred carries"));
    }
    void d014_anErrbackThatReturnsADeferredOfAnotherTypeDoesNotCompile() {
        const QString said = compile("void f(bine::Deferred<double>& d) { d.addErrback([](bine::Failure) { return bine::succeed(1); }); }");
        QVERIFY(said.contains("an errback must lead back to the type that the Deferred carries"));
    }
};

QTEST_GUILESS_MAIN(DoesNotCompileTest)
#include "does_not_compile_test.moc"
