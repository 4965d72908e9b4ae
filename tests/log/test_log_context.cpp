// Prefixes: who is meant by what a thread logs.

#include <QtTest>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bine/log/log.h"

using namespace bine;

class TestLogContext : public QObject {
    Q_OBJECT

    static LogContext make(void* object) {
        auto& test = *static_cast<TestLogContext*>(object);
        ++test.made_;
        return LogContext("made");
    }
    static LogContext makeAndThrow(void*) { throw std::runtime_error("no prefix today"); }
    static LogContext makeAndLog(void*) {
        Logger("test").info("from make");
        return LogContext("made");
    }

private slots:
    void init() {
        output_ = setDefaultLogObserver([this](const LogEvent& event) { prefixes_.push_back(event.prefix); });
        prefixes_.clear();
        made_ = 0;
    }
    void cleanup() { output_.remove(); }

    void aScopeLabelsWhatIsLoggedInIt() {
        log_.info("before");
        {
            LogScope scope(LogContext("Chat,3,127.0.0.1"));
            log_.info("inside");
        }
        log_.info("after");
        QCOMPARE(prefixes_, Prefixes({"", "Chat,3,127.0.0.1", ""}));
    }

    void theInnermostScopeWins() {
        LogScope outer(LogContext("outer"));
        {
            LogScope inner(LogContext("inner"));
            log_.info("x");
        }
        {
            LogScope none{LogContext()};
            log_.info("x");
        }
        log_.info("x");
        QCOMPARE(prefixes_, Prefixes({"inner", "", "outer"}));
    }

    void aLazyPrefixIsMadeOnlyWhenItIsWanted() {
        { LogScope scope(&make, this); }
        QCOMPARE(made_, 0);
        {
            LogScope scope(&make, this);
            setLogLevel(LogLevel::warn);
            log_.info("nobody hears it");
            QCOMPARE(made_, 0);
            setLogLevel(LogLevel::info);
            log_.info("x");
            log_.info("x");
            QCOMPARE(LogContext::current().text(), std::string("made"));
        }
        QCOMPARE(made_, 1);
        QCOMPARE(prefixes_, Prefixes({"made", "made"}));
    }

    void aPrefixThatCannotBeMadeLosesNoEvent() {
        LogScope scope(&makeAndThrow, nullptr);
        log_.info("x");
        QCOMPARE(prefixes_, Prefixes({""}));
    }

    void makingAPrefixMayLog() {
        LogScope scope(&makeAndLog, nullptr);
        log_.info("x");
        QCOMPARE(prefixes_, Prefixes({"", "made"}));
    }

    void aContextOutlivesItsScopeAndSharesItsText() {
        LogContext kept;
        QVERIFY(kept.empty());
        QVERIFY(LogContext(std::string()).empty());
        {
            LogScope scope(LogContext("a"));
            kept = LogContext::current();
        }
        const LogContext copy = kept;
        QCOMPARE(static_cast<const void*>(&copy.text()), static_cast<const void*>(&kept.text()));
        QVERIFY(LogContext::current().empty());
        LogScope again(copy);
        log_.info("x");
        QCOMPARE(prefixes_, Prefixes({"a"}));
    }

    void eachThreadHasItsOwnScopes() {
        LogScope scope(LogContext("here"));
        std::string other = "unset", carried;
        const LogContext context = LogContext::current();
        std::jthread([&] {
            other = LogContext::current().text();
            LogScope there(context);
            carried = LogContext::current().text();
        }).join();
        QCOMPARE(other, std::string());
        QCOMPARE(carried, std::string("here"));
    }

    void scopesMayDieOutOfOrder() {
        std::optional<LogScope> one(std::in_place, LogContext("one"));
        LogScope two(LogContext("two"));
        one.reset();
        log_.info("x");
        QCOMPARE(prefixes_, Prefixes({"two"}));
    }

private:
    using Prefixes = std::vector<std::string>;
    const Logger log_{"test"};
    LogSubscription output_;
    Prefixes prefixes_;
    int made_ = 0;
};

QTEST_GUILESS_MAIN(TestLogContext)
#include "test_log_context.moc"
