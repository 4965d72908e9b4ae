// GLib's log is the output while a reactor is attached.

#include <glib.h>

#include <QtTest/QtTest>

#include <memory>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/log/log.h"

class GlibLogTest : public QObject {
    Q_OBJECT

private slots:
    void glibsLogIsTheOutputWhileAttached() {
        QStringList seen;
        const guint handler = g_log_set_handler(
            "bine", G_LOG_LEVEL_MASK,
            [](const gchar*, GLogLevelFlags level, const gchar* text, gpointer seen) {
                *static_cast<QStringList*>(seen) << QString("%1 %2").arg(int(level)).arg(text);
            },
            &seen);
        auto reactor = std::make_unique<bine::GlibReactor>();
        bine::Logger("bine.test").critical("100 %s");
        bine::Logger("mine").info("two");
        reactor.reset();
        bine::Logger("mine").info("nobody is attached");
        g_log_remove_handler("bine", handler);
        QCOMPARE(seen.size(), 2);
        QVERIFY2(seen[0].startsWith(QString("%1 [bine.test] 100 %s").arg(int(G_LOG_LEVEL_CRITICAL))),
                 qPrintable(seen[0]));
        QVERIFY2(seen[1].startsWith(QString("%1 [mine] two").arg(int(G_LOG_LEVEL_INFO))),
                 qPrintable(seen[1]));
    }
};

QTEST_APPLESS_MAIN(GlibLogTest)
#include "glib_log_test.moc"
