// Failure: an exception that travels.

#include "defer/defer_testing.h"

#include <QtCore/QJsonArray>
#include <QtCore/QJsonDocument>
#include <QtCore/QJsonObject>

#include <map>

#include "bine/defer/errors.h"

using bine::Failure;

namespace {

struct Base : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Derived : Base {
    using Base::Base;
};
struct Unspeakable : std::exception {
    const char* what() const noexcept override { return nullptr; }
};
struct Grumpy : bine::Error {
    using bine::Error::Error;
    std::string userMessage() const override { throw std::logic_error("no"); }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

class FailureTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d103_wrapsValueTypeAndTrace() {
        Failure failure(Derived("why"));
        const auto here = std::source_location::current();
        failure.addPlace(bine::detail::Passage::fired, here);
        QVERIFY(failure.exception() != nullptr);
        QCOMPARE(std::string(failure.exception()->what()), std::string("why"));
        QVERIFY(contains(failure.typeName(), "Derived"));
        QVERIFY(contains(failure.getTraceback(), "failure_test.cpp:" + std::to_string(here.line())));
    }
    void d103_aCopySharesTheException() {
        const Failure one{Derived("why")};
        const Failure two(one);
        QCOMPARE(one.exception(), two.exception());
        QVERIFY(one == two);
        QVERIFY(!(one == Failure(Derived("why"))));
    }
    void d103_theHandledExceptionIsTakenWhole() {
        Failure failure;
        try {
            throw Derived("thrown");
        } catch (const Base& base) {
            failure = Failure(base);
        }
        QVERIFY(failure.check<Derived>() != nullptr);
    }
    void d103_placesNotedOnACopyStayThere() {
        const Failure one{Derived("why")};
        Failure two(one);
        two.addPlace(bine::detail::Passage::fired, std::source_location::current());
        QVERIFY(contains(two.getTraceback(), "fired at"));
        QVERIFY(!contains(one.getTraceback(), "fired at"));
        QVERIFY(one == two);
    }

    void d104_checkMatchesTypeAndBases() {
        const Failure failure(Derived("why"));
        QVERIFY(failure.check<Derived>() != nullptr);
        QVERIFY(failure.check<Base>() != nullptr);
        QVERIFY(failure.check<std::exception>() != nullptr);
        QVERIFY(failure.check<std::logic_error>() == nullptr);
        QCOMPARE(std::string(failure.check<Base>()->what()), std::string("why"));
    }
    void d104_checkTakesSeveralTypes() {
        const Failure failure(Derived("why"));
        QVERIFY((failure.check<std::logic_error, Base>()));
        QVERIFY((!failure.check<std::logic_error, bine::CancelledError>()));
    }
    void d104_checkKnowsThrownThingsThatAreNoExceptions() {
        const Failure failure(std::make_exception_ptr(std::string("text")));
        QVERIFY(failure.check<std::string>() != nullptr);
        QCOMPARE(*failure.check<std::string>(), std::string("text"));
        QVERIFY(failure.check<int>() == nullptr);
        QVERIFY(failure.exception() == nullptr);
    }

    void d105_trapReturnsTheMatch() {
        const Failure failure(Derived("why"));
        QCOMPARE(std::string(failure.trap<Base>().what()), std::string("why"));
        failure.trap<std::logic_error, Base>();
    }
    void d105_trapThrowsAMismatch() {
        const Failure failure(Derived("why"));
        QVERIFY_THROWS_EXCEPTION(Derived, failure.trap<std::logic_error>());
        bool thrown = false;
        try {
            failure.trap<std::logic_error, bine::CancelledError>();
        } catch (const Derived&) {
            thrown = true;
        }
        QVERIFY(thrown);
    }
    void d105_aMismatchInAnErrbackStaysOnTheErrorPath() {
        std::string seen;
        bine::fail<int>(Derived("why"))
            .addErrback([&](Failure failure) {
                failure.trap<std::logic_error>();
                seen += "first ";
                return 0;
            })
            .addErrback([&](Failure failure) {
                failure.trap<Base>();
                seen += "second";
                return 0;
            });
        QCOMPARE(seen, std::string("second"));
    }

    void d106_raiseExceptionThrowsTheOriginal() {
        const auto original = std::make_exception_ptr(Derived("why"));
        const Failure failure(original);
        bool same = false;
        try {
            failure.raiseException();
        } catch (...) {
            same = std::current_exception() == original;
        }
        QVERIFY(same);
        QVERIFY(failure.exceptionPtr() == original);
    }
    void d106_whatRaisedItInACallbackKeepsItsTrace() {
        const auto origin = std::source_location::current().line() + 1;
        auto d = bine::fail<int>(Derived("why"));
        std::string trace;
        d.addErrback([](Failure failure) -> int { failure.raiseException(); }).addErrback([&](Failure failure) {
            trace = failure.getTraceback();
            return 0;
        });
        QVERIFY2(contains(trace, "failure_test.cpp:" + std::to_string(origin)), trace.c_str());
    }
    void d107_getErrorMessageIsTheText() {
        QCOMPARE(Failure(Derived("why")).getErrorMessage(), std::string("why"));
        QCOMPARE(Failure(std::make_exception_ptr("literal")).getErrorMessage(), std::string("literal"));
        QCOMPARE(Failure(std::make_exception_ptr(42)).getErrorMessage(), std::string("42"));
    }

    void d108_theBriefTraceIsOneLine() {
        QCOMPARE(Failure(bine::CancelledError("stopped")).getBriefTraceback(), std::string("bine::CancelledError: stopped"));
        const std::string trace = Failure(Derived("why")).getTraceback();
        QVERIFY(!trace.empty() && trace.back() == '\n');
    }
    void d108_anExceptionWithoutTextBreaksNothing() {
        const Failure failure{Unspeakable()};
        QVERIFY(!failure.getErrorMessage().empty());
        QVERIFY(contains(failure.getTraceback(), "Unspeakable"));
    }
    void d108_anExceptionWhoseFormattingThrowsBreaksNoReport() {
        const Failure failure(Grumpy("grumpy"));
        QVERIFY(contains(failure.userMessage(), "grumpy"));
        bine::fail<int>(Grumpy("grumpy"));
        const auto events = log_.recorder().flushErrors<Grumpy>();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(contains(events[0].detail, "grumpy"));
    }
    void d108_anEmptyFailureCanBeAsked() {
        const Failure empty;
        QVERIFY(!empty);
        QVERIFY(!empty.getErrorMessage().empty());
        QVERIFY(empty.check<std::exception>() == nullptr);
        QVERIFY_THROWS_EXCEPTION(bine::NoCurrentExceptionError, empty.raiseException());
    }

    void d109_aKeptFailureHoldsNoCallbackCaptureOrFrame() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Failure kept;
        {
            Pair<int> p;
            auto work = [](bine::Deferred<int> d, std::shared_ptr<int> argument) -> bine::Deferred<int> {
                const int value = co_await d;
                co_return value + *argument;
            };
            auto d = work(std::move(p.deferred), held);
            d.addCallback([held](int value) { return value; }).addErrback([&kept, held](Failure failure) {
                kept = failure;
                return 0;
            });
            held.reset();
            QVERIFY(!alive.expired());
            p.resolver.errback(oops());
        }
        QVERIFY(kept.check<std::runtime_error>() != nullptr);
        QVERIFY(alive.expired());
    }
    void d109_theTraceOfALongJourneyIsBounded() {
        Failure failure(Derived("why"));
        for (int i = 0; i < 10'000; ++i) failure.addPlace(bine::detail::Passage::fired, std::source_location::current());
        const std::string trace = failure.getTraceback();
        QVERIFY(std::count(trace.begin(), trace.end(), '\n') < 70);
        QVERIFY(contains(trace, "more"));
    }

    void d110_stacksAreKeptWhileDebuggingIsOn() {
        QVERIFY(!bine::getDebugging());
        const Failure without(oops());
        bine::setDebugging(true);
        const Failure with(oops());
        bine::setDebugging(false);
        QVERIFY(without.getTraceback().find("on the stack") == std::string::npos);
        const std::string trace = with.getTraceback();
        QVERIFY2(trace.find("on the stack") != std::string::npos, trace.c_str());
        QVERIFY2(trace.find("failure_test") != std::string::npos, trace.c_str());  // this program
        QVERIFY2(trace.find("QTest::") != std::string::npos, trace.c_str());       // an exported name, readable
    }
    void d110_copiesKeepTheStack() {
        bine::setDebugging(true);
        const Failure failure(oops());
        bine::setDebugging(false);
        Failure copy = failure;
        copy.addPlace(bine::detail::Passage::fired, std::source_location::current());
        QVERIFY(copy.getTraceback().find("on the stack") != std::string::npos);
    }
    void d112_theWayAFailureCameIsThereWithoutDebugging() {
        std::string trace;
        Pair<int> p;
        const auto work = [](bine::Deferred<int> d) -> bine::Deferred<int> { co_return co_await d; };
        work(std::move(p.deferred)).addErrback([&](const Failure& failure) {
            trace = failure.getTraceback();
            return 0;
        });
        p.resolver.errback(oops());
        for (const char* word : {"made at", "fired at", "awaited at"}) QVERIFY2(trace.find(word) != std::string::npos, trace.c_str());
        QVERIFY2(trace.find("on the stack") == std::string::npos, trace.c_str());
    }
    void d111_asJson() {
        Failure failure(std::runtime_error("a \"quoted\" \\ line\nand \x01 and \xff and \xe2\x82\xac"));
        failure.addPlace(bine::detail::Passage::fired, std::source_location::current());
        const auto line = static_cast<int>(std::source_location::current().line()) - 1;
        QJsonParseError error;
        const QJsonObject json = QJsonDocument::fromJson(QByteArray::fromStdString(failure.toJson()), &error).object();
        QCOMPARE(error.error, QJsonParseError::NoError);
        QCOMPARE(json["type"].toString(), QString("std::runtime_error"));
        QCOMPARE(json["message"].toString(), QString::fromUtf8("a \"quoted\" \\ line\nand \x01 and \xef\xbf\xbd and \xe2\x82\xac"));
        const QJsonObject frame = json["frames"].toArray().at(0).toObject();
        QCOMPARE(frame["passage"].toString(), QString("fired at"));
        QVERIFY(frame["file"].toString().endsWith("failure_test.cpp"));
        QCOMPARE(frame["line"].toInt(), line);
        QVERIFY(frame["function"].toString().contains("d111_asJson"));
        QVERIFY(!failure.toJson().empty() && failure.toJson().find('\n') == std::string::npos);
    }
    void d111_withTheStack() {
        bine::setDebugging(true);
        const Failure failure(oops());
        bine::setDebugging(false);
        const QJsonObject json = QJsonDocument::fromJson(QByteArray::fromStdString(failure.toJson())).object();
        QVERIFY(json["stack"].toArray().size() > 3);
        QCOMPARE(QJsonDocument::fromJson(QByteArray::fromStdString(Failure().toJson())).object()["message"].toString(), QString("no failure"));
    }
};

QTEST_GUILESS_MAIN(FailureTest)
#include "failure_test.moc"
