// A Qt window goes on painting while connections flood the program. Frames are counted against turns, not against the clock: each turn of this
// flood uses up its budget of 1 ms, so between two frames of 16 ms there is room for 16 of them, whatever the machine.

#include <QtTest/QtTest>

#include <QtGui/QPainter>
#include <QtWidgets/QApplication>
#include <QtWidgets/QWidget>

#include "dialogs/flood.h"
#include "kit/reactor_test.h"

using namespace dialogs;

namespace {

class Picture : public QWidget {
public:
    explicit Picture(std::function<void()> painted) : painted_(std::move(painted)) { resize(300, 200); }

protected:
    void paintEvent(QPaintEvent*) override {
        QPainter painter(this);
        painter.fillRect(rect(), QColor::fromHsv(frames_++ % 360, 200, 200));
        painted_();
    }

private:
    std::function<void()> painted_;
    int frames_ = 0;
};

} // namespace

class QtHeartbeatTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void initTestCase() {
        toolkitComesAndGoes();
        bine::kit::ReactorHost host;
        Scene scene(host);
        Picture picture([] {});
        picture.show();
        scene.spinUntil([&] { return picture.isVisible(); });
        scene.line();
    }

    void r255_framesKeepComingWhileConnectionsFlood() {
        Scene scene(host());
        Flood flood(scene, 50, 50us);
        int ticks = 0, frames = 0;
        std::uint64_t last = 0, longest = 0;
        Picture picture([&] {
            const auto turns = reactor().stats().turns;
            if (frames++ > 5)
                longest = std::max(longest, turns - last); // the first ones are the window's being shown
            last = turns;
        });
        picture.show();
        QTimer timer;
        timer.setTimerType(Qt::PreciseTimer);
        QObject::connect(&timer, &QTimer::timeout, &picture, [&] {
            ++ticks;
            picture.update();
        });
        timer.start(16ms);
        QVERIFY(scene.spinUntil([&] { return frames > 0; }));
        flood.begin();
        QVERIFY(scene.spinUntil([&] { return frames >= 60 && flood.callbacks() >= 2000; }));
        qInfo("%d ticks, %d frames, %zu callbacks, %llu turns between frames at most", ticks, frames,
              flood.callbacks(), static_cast<unsigned long long>(longest));
        QVERIFY2(longest <= 32, qPrintable(QString("%1 turns between two frames").arg(longest)));
        QVERIFY2(flood.mostInATurn() <= 21,
                 qPrintable(QString("%1 callbacks in a turn").arg(flood.mostInATurn())));
        QVERIFY2(flood.longestBeforeAnother() < 1ms,
                 qPrintable(QString("another callback after %1 us").arg(flood.longestBeforeAnother() / 1us)));
        QVERIFY(flood.longestGap() <= 2 * flood.size());
    }
};

int main(int argc, char** argv) {
    qputenv("BINE_REACTOR", qEnvironmentVariableIsSet("QT_NO_GLIB") ? "qt-noglib" : "qt");
    QApplication application(argc, argv);
    return bine::kit::runTests<QtHeartbeatTest>(argc, argv);
}
#include "qt_heartbeat_test.moc"
