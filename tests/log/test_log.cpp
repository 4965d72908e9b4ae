// What an event carries, and which events are made at all.

#include <QtTest>

#include <cerrno>
#include <optional>
#include <stdexcept>

#include "bine/log/log.h"

using namespace bine;

class TestLog : public QObject {
    Q_OBJECT

private slots:
    void init() {
        output_ = setDefaultLogObserver([this](const LogEvent& event) { printed_.push_back(event); });
        setLogLevel(LogLevel::info);
        printed_.clear();
    }
    void cleanup() { output_.remove(); }

    void eachLevelHasItsFunction() {
        const Logger log("levels");
        setLogLevel(LogLevel::debug);
        log.debug("a");
        log.info("b");
        log.warn("c");
        log.error("d");
        log.critical("e");
        QCOMPARE(printed_.size(), 5U);
        const LogLevel levels[] = {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error,
                                   LogLevel::critical};
        for (std::size_t i = 0; i < 5; ++i)
            QCOMPARE(printed_[i].level, levels[i]);
        QCOMPARE(printed_[3].message, std::string("d"));
        QCOMPARE(printed_[3].logNamespace, std::string("levels"));
    }

    void levelsHaveNames() {
        QCOMPARE(logLevelName(LogLevel::debug), std::string_view("debug"));
        QCOMPARE(logLevelName(LogLevel::critical), std::string_view("critical"));
        QCOMPARE(logLevelName(static_cast<LogLevel>(99)), std::string_view("unknown level"));
    }

    void anEventKnowsWhereAndWhenItWasLogged() {
        const auto before = std::chrono::system_clock::now();
        Logger("here").warn("x");
        const int line = __LINE__ - 1;
        QCOMPARE(int(printed_.at(0).where.line()), line);
        QVERIFY(std::string_view(printed_[0].where.file_name()).ends_with("test_log.cpp"));
        QVERIFY(printed_[0].time >= before && printed_[0].time <= std::chrono::system_clock::now());
    }

    void fieldsTakeTextAndNumbers() {
        const std::string kept = "lvalue";
        const char* nothing = nullptr;
        Logger("fields").info("x", {{"literal", "text"},
                                    {"string", kept},
                                    {"view", std::string_view("view")},
                                    {"null", nothing},
                                    {"int", -5},
                                    {"size", std::size_t(18446744073709551615U)},
                                    {"char", 'c'},
                                    {"byte", std::uint8_t(65)},
                                    {"bool", true},
                                    {"double", 0.1},
                                    {"float", 2.5F}});
        const std::vector<std::string> values = {
            "text", "lvalue", "view", "(null)", "-5", "18446744073709551615",
            "c",    "65",     "true", "0.1",    "2.5"};
        QCOMPARE(printed_.at(0).fields.size(), values.size());
        for (std::size_t i = 0; i < values.size(); ++i)
            QCOMPARE(printed_[0].fields[i].value(), values[i]);
        QCOMPARE(printed_[0].fields[4].key(), std::string("int"));
    }

    void aPointerIsNoField() {
        QVERIFY((!std::is_constructible_v<LogField, std::string_view, int*>));
        QVERIFY((!std::is_constructible_v<LogField, std::string_view, QObject*>));
    }

    void aFailureCarriesItsExceptionAndDetail() {
        auto failure = std::make_exception_ptr(std::runtime_error("boom"));
        Logger("f").failure(failure, "Unhandled error", LogLevel::critical, "trace\n");
        QCOMPARE(printed_.at(0).level, LogLevel::critical);
        QVERIFY(printed_[0].failure == failure);
        QCOMPARE(printed_[0].detail, std::string("trace\n"));
    }

    void theOutputHearsNothingBelowItsLevel() {
        setLogLevel(LogLevel::error);
        Logger("quiet").warn("no");
        QVERIFY(printed_.empty());
        Logger("quiet").error("yes");
        QCOMPARE(printed_.size(), 1U);
    }

    void enabledAsksOutputAndObservers() {
        const Logger log("e");
        setLogLevel(LogLevel::warn);
        QVERIFY(!log.enabled(LogLevel::info));
        QVERIFY(log.enabled(LogLevel::warn));
        std::optional<LogSubscription> observer = addLogObserver([](const LogEvent&) {}, LogLevel::info);
        QVERIFY(log.enabled(LogLevel::info));
        QVERIFY(!log.enabled(LogLevel::debug));
        observer.reset();
        QVERIFY(!log.enabled(LogLevel::info));
    }

    void observersAreNotConcernedByTheOutputsLevel() {
        setLogLevel(LogLevel::critical);
        int heard = 0;
        LogSubscription observer = addLogObserver([&](const LogEvent&) { ++heard; });
        Logger("x").debug("a");
        QCOMPARE(heard, 1);
        QVERIFY(printed_.empty());
    }

    void loggingKeepsErrno() {
        LogSubscription observer = addLogObserver([](const LogEvent&) { errno = EPERM; });
        errno = ENOENT;
        Logger("errno").info("x");
        QCOMPARE(errno, ENOENT);
    }

    void loggingIsPromisedNotToThrow() {
        const Logger log("n");
        QVERIFY(noexcept(log.enabled(LogLevel::debug)));
        const std::vector<LogField> none;
        LogSubscription observer = addLogObserver([](const LogEvent&) { throw 1; });
        log.info("x", none);
        QCOMPARE(printed_.size(), 2U); // the event, and what became of the observer
    }

private:
    LogSubscription output_;
    std::vector<LogEvent> printed_;
};

QTEST_GUILESS_MAIN(TestLog)
#include "test_log.moc"
