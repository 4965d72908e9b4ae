#pragma once
// ReactorTest: the base of a class of tests that runs on every reactor. Each test function gets a fresh host
// and a fresh reactor, and leaves nothing behind.
//
//     class TimeTest : public bine::kit::ReactorTest {
//         Q_OBJECT
//     private slots:
//         void r033_zeroDelayMeansLater() {
//             bool called = false;
//             reactor().callLater(0s, [&] { called = true; reactor().stop(); });
//             QVERIFY(!called);
//             run();
//             QVERIFY(called);
//         }
//     };
//     int main(int argc, char** argv) { return bine::kit::runTests<TimeTest>(argc, argv); }
//     #include "time_test.moc"
//
// After each function the reactor is destroyed, then the host, and the books are balanced: delayed calls that
// still claim to wait, the reactor's machinery, objects in the host's loop, descriptors, threads, logged
// errors. What is left fails the test, and so does what Qt complains of. A test that expects an error takes
// it with loggedErrors(). What still waits in the reactor when a function returns must not refer to its
// locals: the destructor runs the shutdown if the reactor is running.

#include <QtTest/QtTest>

#include <memory>
#include <string>
#include <vector>

#include "bine/log/recorder.h"
#include "kit/accountant.h"
#include "kit/reactor_host.h"

namespace bine::kit {

class ReactorTest : public QObject {
    Q_OBJECT

public:
    ReactorTest();
    ~ReactorTest() override;

protected:
    ReactorHost& host() { return *host_; }
    ReactorBase& reactor() { return host_->reactor(); }
    void run() { host_->run(); }
    /// Starts the reactor and stops it: all phases of both, and nothing else.
    void runToTheEnd();
    /// One pass that does not wait: iterate(0s), and dispatch() for the embedded reactor.
    void onePass();

    /// For tests with windows: a toolkit puts things of its own into the loop and takes them out when it
    /// likes. They are not counted.
    void toolkitComesAndGoes() { countHostObjects_ = false; }
    /// The errors logged since the last call, "message: text of the exception".
    std::vector<std::string> loggedErrors();

private slots:
    void initTestCase();
    void init();
    void cleanup();

private:
    std::string leftovers();

    std::unique_ptr<ReactorHost> host_;
    std::unique_ptr<LogRecorder> log_;
    Belongings before_;
    HostObjects hostBefore_;
    bool countHostObjects_ = true;
};

/// Prepares the process as the reactor needs it and runs the test object; a function that hangs ends the
/// program with its name.
int runTests(QObject& test, int argc, char** argv);

template <class Test>
int runTests(int argc, char** argv) {
    Test test;
    return runTests(test, argc, argv);
}

/// From an init(): a test function fails if Qt says that its notifiers, timers, loops or threads are not used
/// as it demands. ReactorTest does it.
void failOnQtsComplaints();

/// Notes what happens, in order: `steps.add("x")`, then QCOMPARE(steps.text(), "x y z").
class Steps {
public:
    void add(const std::string& step) { text_ += (text_.empty() ? "" : " ") + step; }
    /// A callable that adds the step.
    auto adder(std::string step) {
        return [this, step = std::move(step)] { add(step); };
    }
    QString text() const { return QString::fromStdString(text_); }

private:
    std::string text_;
};

/// Lets each phase of the event add itself to steps: "before-startup".
void watchPhases(Reactor& reactor, const std::string& event, Steps& steps);

} // namespace bine::kit
