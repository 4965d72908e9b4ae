// LogRecorder: errors are kept for the test, within bounds.

#include <QtTest>

#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bine/log/recorder.h"

using namespace bine;

class TestLogRecorder : public QObject {
    Q_OBJECT

    static std::exception_ptr failure(const char* text) {
        return std::make_exception_ptr(std::runtime_error(text));
    }

private slots:
    void init() {
        output_ = setDefaultLogObserver([this](const LogEvent& event) { printed_.push_back(event.message); });
        printed_.clear();
    }
    void cleanup() { output_.remove(); }

    void itKeepsErrorsAndNothingLess() {
        LogRecorder recorder;
        QVERIFY(recorder.empty());
        log_.warn("a");
        QVERIFY(recorder.empty());
        log_.error("b");
        log_.critical("c");
        QCOMPARE(recorder.size(), 2U);
        const std::vector<LogEvent> events = recorder.flush();
        QCOMPARE(events.size(), 2U);
        QCOMPARE(events[0].message, std::string("b"));
        QCOMPARE(events[1].message, std::string("c"));
        QVERIFY(recorder.empty());
    }

    void flushErrorsTakesOneKindAndLeavesTheRest() {
        LogRecorder recorder;
        log_.failure(failure("first"), "a");
        log_.failure(std::make_exception_ptr(1), "b");
        log_.error("c");
        log_.failure(failure("second"), "d");
        const std::vector<LogEvent> errors = recorder.flushErrors<std::exception>();
        QCOMPARE(errors.size(), 2U);
        QCOMPARE(errors[0].message, std::string("a"));
        QCOMPARE(errors[1].message, std::string("d"));
        QVERIFY(recorder.flushErrors<std::exception>().empty());
        QCOMPARE(recorder.flushErrors<int>().size(), 1U);
        QVERIFY(!recorder.empty());
        QCOMPARE(recorder.flush().at(0).message, std::string("c"));
    }

    void whatIsRecordedIsNotPrinted() {
        LogRecorder recorder;
        log_.error("kept");
        log_.warn("shown");
        QCOMPARE(printed_, Messages({"shown"}));
        QCOMPARE(recorder.flush().size(), 1U);
    }

    void observersHearWhatIsRecorded() {
        Messages heard;
        LogSubscription observer =
            addLogObserver([&](const LogEvent& event) { heard.push_back(event.message); });
        LogRecorder recorder;
        log_.error("a");
        QCOMPARE(heard, Messages({"a"}));
        QCOMPARE(recorder.flush().size(), 1U);
    }

    void itDoesNotMakeLowerLevelsDear() {
        setLogLevel(LogLevel::critical);
        LogRecorder recorder;
        QVERIFY(!log_.enabled(LogLevel::warn));
        QVERIFY(log_.enabled(LogLevel::error));
        setLogLevel(LogLevel::info);
    }

    void whatNobodyFlushedIsPrintedAtTheEnd() {
        {
            LogRecorder recorder;
            log_.error("left");
            log_.error("left too");
        }
        QCOMPARE(printed_, Messages({"left", "left too"}));
    }

    void recordersNest() {
        LogRecorder outer;
        {
            LogRecorder inner;
            log_.error("a");
            QCOMPARE(inner.size(), 1U);
        }
        QVERIFY(printed_.empty()); // the outer one has it
        QCOMPARE(outer.flush().size(), 1U);
    }

    void itIsBoundedAndCountsWhatItDrops() {
        LogRecorder recorder;
        for (std::size_t i = 0; i < LogRecorder::capacity + 7; ++i)
            log_.error("x");
        QCOMPARE(recorder.size(), LogRecorder::capacity);
        QCOMPARE(recorder.dropped(), 7U);
        QCOMPARE(recorder.flush().size(), LogRecorder::capacity);
        QCOMPARE(recorder.dropped(), 0U);
        QVERIFY(recorder.empty());
    }

    void droppedEventsAreToldWhenNobodyLooks() {
        {
            LogRecorder recorder;
            for (std::size_t i = 0; i <= LogRecorder::capacity; ++i)
                log_.error("x");
        }
        QCOMPARE(printed_.size(), LogRecorder::capacity + 1);
        QVERIFY(printed_.back().find("dropped") != std::string::npos);
    }

    void everyThreadIsRecorded() {
        LogRecorder recorder;
        std::size_t taken = 0;
        {
            std::vector<std::jthread> running;
            for (int i = 0; i < 4; ++i)
                running.emplace_back([] {
                    for (int n = 0; n < 500; ++n)
                        Logger("thread").failure(failure("x"), "y");
                });
            for (int n = 0; n < 100; ++n)
                taken += recorder.flushErrors<std::runtime_error>().size();
        }
        QCOMPARE(taken + recorder.flush().size(), 2000U);
    }

    void itMayDieInsideAnObserver() {
        std::optional<LogRecorder> recorder(std::in_place);
        LogSubscription observer = addLogObserver([&](const LogEvent&) { recorder.reset(); });
        log_.error("a");
        QVERIFY(!recorder);
        QVERIFY(printed_ == Messages({"a"})); // heard by the recorder first, printed when it died
    }

private:
    using Messages = std::vector<std::string>;
    const Logger log_{"test"};
    LogSubscription output_;
    Messages printed_;
};

QTEST_GUILESS_MAIN(TestLogRecorder)
#include "test_log_recorder.moc"
