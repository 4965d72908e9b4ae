// Deferreds and Resolvers as members: empty until one is moved in.

#include "defer/defer_testing.h"

#include <type_traits>

#include "bine/defer/errors.h"
#include "bine/defer/gather_results.h"

using bine::Deferred;
using bine::Resolver;

namespace {

class Question {
public:
    Deferred<int> ask() {
        answer_ = Resolver<int>();
        return answer_.deferred();
    }
    void answer(int value) { std::exchange(answer_, nullptr).callback(value); }
    bool asked() const { return static_cast<bool>(answer_); }

private:
    Resolver<int> answer_ = nullptr;
};

}  // namespace

class EmptyEndsTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void aResolverAsAMember() {
        Question question;
        QVERIFY(!question.asked());
        auto d = question.ask();
        QVERIFY(question.asked());
        question.answer(5);
        QVERIFY(!question.asked());
        QCOMPARE(outcome(d), std::string("fired"));
    }
    void aDeferredAsAMember() {
        Deferred<int> waiting;
        QVERIFY(!waiting);
        QCOMPARE(waiting.describe(), std::string("empty"));
        Resolver<int> answer;
        waiting = answer.deferred();
        QVERIFY(waiting);
        answer.callback(5);
        const Deferred<int> taken = std::move(waiting);
        QVERIFY(!waiting);
        QVERIFY(taken);
    }
    void emptyingAResolverAbandonsItsDeferred() {
        Resolver<int> answer;
        auto d = answer.deferred();
        answer = nullptr;
        QCOMPARE(outcome(d), std::string("bine::AbandonedError"));
    }
    void anEmptyDeferredRefusesWork() {
        Deferred<int> empty;
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.addCallback([](int value) { return value; }));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::move(empty).addErrback([](const bine::Failure& failure) { return failure; }));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.pause());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.ref());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::move(empty).ignoreFailures());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::move(empty).logFailures());
        bine::Scope scope;
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.ownedBy(scope));
    }
    void anEmptyDeferredIsCleanedUpInSilence() {
        Deferred<int> empty;
        empty.cancel();
        empty.unpause();
        QVERIFY(empty.called());
    }
    void awaitingAnEmptyDeferredFails() {
        const auto coroutine = []() -> Deferred<int> {
            Deferred<int> empty;
            co_return co_await empty;
        };
        auto d = coroutine();
        QCOMPARE(outcome(d), std::string("std::logic_error"));
    }
    void anEmptyResolverRefusesWork() {
        Resolver<int> empty = nullptr;
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.callback(1));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, empty.errback(oops()));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, static_cast<void>(empty.deferred()));
        QVERIFY(empty.called());
    }
    void chainingIntoAnEmptyResolverIsRefusedAndTheDeferredStays() {
        auto d = bine::succeed(1);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::move(d).chainDeferred(Resolver<int>(nullptr)));
        QCOMPARE(outcome(d), std::string("fired"));
    }
    void theMessageSaysThatItIsEmpty() {
        Deferred<int> empty;
        try {
            empty.pause();
            QFAIL("it threw nothing");
        } catch (const std::logic_error& error) {
            QCOMPARE(std::string(error.what()), std::string("this Deferred is empty: it was moved away, or nothing was moved into it yet"));
        }
    }
    void neitherIsCopied() {
        static_assert(!std::is_copy_constructible_v<Deferred<int>> && !std::is_copy_assignable_v<Deferred<int>>);
        static_assert(!std::is_copy_constructible_v<Resolver<int>> && !std::is_copy_assignable_v<Resolver<int>>);
        static_assert(std::is_nothrow_move_constructible_v<Deferred<int>> && std::is_nothrow_default_constructible_v<Deferred<int>>);
        const auto lambda = [d = bine::succeed(1)] { return d.called(); };
        static_assert(!std::is_copy_constructible_v<decltype(lambda)>);
        QVERIFY(lambda());
    }
};

QTEST_GUILESS_MAIN(EmptyEndsTest)
#include "empty_ends_test.moc"
