// A QtReactor beside the GlibReactor, in the one loop that serves both toolkits: each is served in the loops
// that the other's callbacks open, be they Qt's or GLib's.

#include "bine/qtreactor/qt_reactor.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::kit::Nest;
using bine::kit::Steps;
using bine::kit::Wire;

class BothToolkitsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r258_r260_eachIsServedInTheLoopsOfTheOther() {
        bine::QtReactor qt;
        Nest nest(host());
        int served = 0;
        const auto serve = [&] {
            if (++served == 4)
                nest.quit();
        };
        Wire qts(qt, [&](std::string) { serve(); });
        Wire glibs(reactor(), [&](std::string) { serve(); });
        nest.open({&qt, &reactor(), &reactor(), &qt, &qt}, [&] {
            qts.send("x");
            glibs.send("x");
            qt.callLater(1ms, serve);
            reactor().callLater(1ms, serve);
        });
        QVERIFY(host().spinUntil([&] { return nest.over(); }));
        QCOMPARE(served, 4);
    }

    void r258_r260_eachMayDieInTheLoopsOfTheOther_data() {
        QTest::addColumn<bool>("qts");
        QTest::newRow("Qt's") << true;
        QTest::newRow("GLib's") << false;
    }
    void r258_r260_eachMayDieInTheLoopsOfTheOther() {
        QFETCH(bool, qts);
        auto qt = std::make_unique<bine::QtReactor>();
        Nest nest(host());
        bool served = false;
        nest.open({qt.get(), &reactor(), &reactor(), qt.get(), &reactor()}, [&] {
            bine::Reactor& other = qts ? reactor() : *qt;
            qts ? qt.reset() : host().destroyReactor();
            other.callLater(1ms, [&] {
                served = true;
                nest.quit();
            });
        });
        QVERIFY(host().spinUntil([&] { return nest.over(); }));
        QVERIFY(served);
    }

    // GLib's may go on in whatever loop comes next.
    void r249_qtsReactorAloneHearsThatQtQuits() {
        bine::QtReactor qt;
        Steps steps;
        qt.addSystemEventTrigger("after", "shutdown", steps.adder("Qt's"));
        reactor().addSystemEventTrigger("after", "shutdown", steps.adder("GLib's"));
        reactor().callLater(1ms, [&] { host().quitHost(); });
        host().runHost();
        QCOMPARE(steps.text(), "Qt's");
        QVERIFY(reactor().running());
        host().destroyReactor();
        QCOMPARE(steps.text(), "Qt's GLib's");
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<BothToolkitsTest>(argc, argv); }
#include "both_toolkits_test.moc"
