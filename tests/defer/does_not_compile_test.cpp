// The rules whose breach the compiler refuses. (Lists of Deferreds and maybeDeferred have theirs in their own tests; tests/mistakes has the
// other mistakes, and how long the compilers are about them.)

#include "defer/compiler.h"
#include "defer/defer_testing.h"

#include <type_traits>

using bine::Deferred;

namespace {

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
        QVERIFY(said.contains("a coroutine that returns a Deferred awaits only Deferreds"));
    }
    void d092_aCapturingTemporaryMustBeNamedFirstWhereTheCompilerIsWrong() {
        const auto capturing = [text = std::string("x")](int) { return text.size(); };
        const auto trivial = [](int value) { return value; };
        using WithCapture = decltype(bine::succeed(1).addCallback(capturing));
        using WithoutCapture = decltype(bine::succeed(1).addCallback(trivial));
        static_assert(std::is_same_v<WithoutCapture, Deferred<int>>);
        static_assert(std::is_same_v<WithCapture, bine::NamedDeferred<std::size_t>> == bine::detail::kNameItFirst);
        QCOMPARE(saidOf(head + "bine::Deferred<> f(bine::NamedDeferred<int> d) { co_await d; }"), QString());
        const QString said = saidOf(head + "bine::Deferred<> f(bine::NamedDeferred<int> d) { co_await std::move(d); }");
        QVERIFY(said.contains("give the Deferred a name"));
    }
    void d014_aDeferredIsNoValueForCallback_data() {
        QTest::addColumn<QByteArray>("resolver");
        QTest::addColumn<QByteArray>("deferred");
        QTest::newRow("same type") << QByteArray("int") << QByteArray("bine::Deferred<int>");
        QTest::newRow("other type") << QByteArray("int") << QByteArray("bine::Deferred<double>");
        QTest::newRow("named") << QByteArray("int") << QByteArray("bine::NamedDeferred<int>");
        QTest::newRow("void") << QByteArray("void") << QByteArray("bine::Deferred<void>");
        QTest::newRow("any could hold it") << QByteArray("std::any") << QByteArray("bine::Deferred<int>");
    }
    void d014_aDeferredIsNoValueForCallback() {
        QFETCH(QByteArray, resolver);
        QFETCH(QByteArray, deferred);
        const QString said =
            saidOf("#include <any>\n" + head + "void f(bine::Resolver<" + resolver + ">& r, " + deferred + " d) { r.callback(std::move(d)); }");
        QVERIFY2(said.contains("callback: a Deferred is no result"), qPrintable(said));
    }
    void d014_changingTheTypeOfAnLvalueDoesNotCompile() {
        const QString said = saidOf(head + "void f(bine::Deferred<int>& d) { d.addCallback([](int) { return 1.5; }); }");
        QVERIFY(said.contains("on a Deferred with a name, the callback returns the type that the Deferred carries"));
    }
    void d014_anErrbackThatReturnsADeferredOfAnotherTypeDoesNotCompile() {
        const QString said = saidOf(head + "void f(bine::Deferred<double>& d) { d.addErrback([](bine::Failure) { return bine::succeed(1); }); }");
        QVERIFY(said.contains("this errback returns another type than the Deferred carries here"));
    }
};

QTEST_GUILESS_MAIN(DoesNotCompileTest)
#include "does_not_compile_test.moc"
