// GTK 4's modal windows, on a display: a nested g_main_loop_run(); and a window that goes on drawing while
// connections flood the program.

#include <gtk/gtk.h> // before Qt's headers, which make macros of names that it uses

#include <QtTest/QtTest>

#include "bine/gtkreactor/gobject_owner.h"
#include "dialogs/flood.h"
#include "dialogs/kind_rows.h"
#include "kit/reactor_test.h"

using namespace dialogs;
using bine::kit::NestedLoop;

namespace {

/// A modal window, and a loop that runs for as long as it is open.
class ModalWindow final : public NestedLoop {
public:
    ModalWindow() : loop_(g_main_loop_new(nullptr, FALSE)) {}
    ~ModalWindow() override {
        quit();
        g_main_loop_unref(loop_);
    }
    bool exec() override {
        window_ = gtk_window_new();
        gtk_window_set_title(GTK_WINDOW(window_), "A question");
        gtk_window_set_modal(GTK_WINDOW(window_), TRUE);
        button_ = gtk_button_new_with_label("Send");
        gtk_window_set_child(GTK_WINDOW(window_), button_);
        if (clicked)
            g_signal_connect_swapped(button_, "clicked", G_CALLBACK(&ModalWindow::pressed), this);
        gtk_window_present(GTK_WINDOW(window_));
        bool tooLong = false;
        const auto limit = std::chrono::ceil<std::chrono::milliseconds>(bine::kit::safetyLimit()).count();
        auto* end = new std::function<void()>([&] {
            tooLong = true;
            g_main_loop_quit(loop_);
        });
        const guint source = g_timeout_add_full(
            G_PRIORITY_DEFAULT, static_cast<guint>(limit),
            [](gpointer f) -> gboolean {
                (*static_cast<std::function<void()>*>(f))();
                return G_SOURCE_CONTINUE;
            },
            end, [](gpointer f) { delete static_cast<std::function<void()>*>(f); });
        g_main_loop_run(loop_);
        g_source_remove(source);
        quit();
        return !tooLong;
    }
    void quit() override {
        if (GtkWidget* window = std::exchange(window_, nullptr)) {
            wasVisible = gtk_widget_get_mapped(window);
            gtk_window_destroy(GTK_WINDOW(window));
        }
        g_main_loop_quit(loop_);
    }
    /// As the mouse does it.
    void click() {
        if (window_)
            g_signal_emit_by_name(button_, "clicked");
    }
    std::function<void()> clicked;
    bool wasVisible = false;

private:
    static void pressed(ModalWindow* self) { self->clicked(); }
    GMainLoop* loop_;
    GtkWidget* window_ = nullptr;
    GtkWidget* button_ = nullptr;
};

/// A window that draws itself anew in every frame.
class Animation {
public:
    explicit Animation(std::function<void()> drawn) : drawn_(std::move(drawn)), window_(gtk_window_new()) {
        GtkWidget* area = gtk_drawing_area_new();
        gtk_drawing_area_set_content_width(GTK_DRAWING_AREA(area), 300);
        gtk_drawing_area_set_content_height(GTK_DRAWING_AREA(area), 200);
        gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(area), &Animation::draw, this, nullptr);
        gtk_widget_add_tick_callback(
            area,
            [](GtkWidget* widget, GdkFrameClock*, gpointer) -> gboolean {
                gtk_widget_queue_draw(widget);
                return G_SOURCE_CONTINUE;
            },
            nullptr, nullptr);
        gtk_window_set_child(GTK_WINDOW(window_), area);
        gtk_window_present(GTK_WINDOW(window_));
    }
    ~Animation() { gtk_window_destroy(GTK_WINDOW(window_)); }
    Animation(const Animation&) = delete;
    Animation& operator=(const Animation&) = delete;

private:
    static void draw(GtkDrawingArea*, cairo_t* cairo, int, int, gpointer data) {
        auto* self = static_cast<Animation*>(data);
        cairo_set_source_rgb(cairo, self->frames_++ % 256 / 255.0, 0.5, 0.5);
        cairo_paint(cairo);
        self->drawn_();
    }
    std::function<void()> drawn_;
    GtkWidget* window_;
    int frames_ = 0;
};

} // namespace

class GtkDialogsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // What a process makes once: the display's connection, fonts, threads of GIO, a port's spare descriptor.
    void initTestCase() {
        toolkitComesAndGoes();
        bine::kit::ReactorHost host;
        Scene scene(host);
        Others others(scene);
        int drawn = 0;
        const Animation animation([&] { ++drawn; });
        scene.spinUntil([&] { return drawn > 2; });
        for (int i = 0; i < 2; ++i) {
            ModalWindow window;
            others.execWhileTheyGoOn(window);
        }
    }

    void r245_r260_r267_aModalWindowHoldsNobodyUp_data() { kindRows(); }
    void r245_r260_r267_aModalWindowHoldsNobodyUp() {
        QFETCH(Kind, kind);
        Scene scene(host());
        Others others(scene);
        bool wentOn = false, visible = false, returned = false;
        inCallback(scene, kind, [&] {
            ModalWindow window;
            // Long enough for the window to be there.
            while (!visible) {
                wentOn = others.execWhileTheyGoOn(window);
                visible = window.wasVisible;
                if (!wentOn)
                    break;
            }
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QVERIFY2(wentOn, others.text().c_str());
        QVERIFY(visible);
    }

    void r246_r266_aButtonInTheWindowWrites() {
        Scene scene(host());
        auto line = scene.line();
        ModalWindow window;
        std::unique_ptr<Witness> witness;
        std::string seen, heardInside;
        bool ended = false;
        window.clicked = [&] { line.talker->transport().write("clicked"); };
        line.talker->onData = [&](Talker& talker, std::string_view) {
            if (ended)
                return;
            talker.transport().write("asked,");
            line.peer->send(" more");
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 13, [&](Witness::Seen what) {
                seen = what.data;
                window.quit();
            });
            host().hostTimer(20ms, [&] { window.click(); });
            ended = window.exec();
            heardInside = talker.data;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->data == "x more"; }));
        QVERIFY2(ended, "nothing left before the limit");
        QCOMPARE(QByteArray::fromStdString(seen), QByteArray("asked,clicked"));
        QCOMPARE(QByteArray::fromStdString(heardInside), QByteArray("x"));
        QCOMPARE(line.talker->deepest, 1);
    }

    void r270_theEndOfTheConnectionBehindAWindow() {
        Scene scene(host());
        auto line = scene.line();
        ModalWindow window;
        std::unique_ptr<Witness> witness;
        Witness::Seen seen;
        bool ended = false;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            talker.transport().write("bye");
            talker.transport().loseConnection();
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 100, [&](Witness::Seen what) {
                seen = what;
                window.quit();
            });
            ended = window.exec();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->lost(); }));
        QVERIFY(ended);
        QVERIFY(seen.end);
        QCOMPARE(QByteArray::fromStdString(seen.data), QByteArray("bye"));
    }

    void r268_theWindowThatOwnsDiesInItsDialog() {
        Scene scene(host());
        auto line = scene.line();
        GtkWidget* owner = gtk_window_new();
        gtk_window_present(GTK_WINDOW(owner));
        line.talker->transport().ownedBy(*owner);
        auto call = reactor().callLater(1h, [] {});
        call.ownedBy(*owner);
        ModalWindow window;
        bool returned = false;
        line.talker->onData = [&](Talker&, std::string_view) {
            host().hostTimer(5ms, [&] {
                gtk_window_destroy(GTK_WINDOW(owner));
                window.quit();
            });
            window.exec();
            returned = true;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return returned && line.talker.use_count() == 1; }));
        QVERIFY(!line.talker->lost());
        QVERIFY(!call.active());
    }

    void r269_theReactorIsDestroyedInAWindow() {
        for (int i = 0; i < 5; ++i) {
            Scene scene(host());
            auto line = scene.line();
            ModalWindow window;
            bool returned = false;
            line.talker->onData = [&](Talker&, std::string_view) {
                host().hostTimer(5ms, [&] {
                    host().destroyReactor();
                    host().hostTimer(5ms, [&] { window.quit(); });
                });
                window.exec();
                returned = true;
            };
            line.peer->send("x");
            while (!returned)
                g_main_context_iteration(nullptr, TRUE);
            QVERIFY(line.talker->lost());
        }
    }

    // Each turn of this flood uses up its budget, so whatever the machine there is room for so many between two frames.
    void r255_framesKeepComingWhileConnectionsFlood() {
        Scene scene(host());
        Flood flood(scene, 150, 50us); // 7.5 ms: more than any turn may take
        int frames = 0;
        std::uint64_t last = 0, longest = 0;
        const Animation animation([&] {
            const auto turns = reactor().stats().turns;
            if (frames++ > 5)
                longest = std::max(longest, turns - last);
            last = turns;
        });
        QVERIFY(scene.spinUntil([&] { return frames > 0; }));
        flood.begin();
        QVERIFY(scene.spinUntil([&] { return frames >= 60 && flood.callbacks() >= 2000; }));
        qInfo("%d frames, %zu callbacks, %llu turns between frames at most", frames, flood.callbacks(),
              static_cast<unsigned long long>(longest));
        QVERIFY2(longest <= 32, qPrintable(QString("%1 turns between two frames").arg(longest)));
        // A turn that has waited gets up to 4 ms.
        QVERIFY2(flood.longestBeforeAnother() < 4ms,
                 qPrintable(QString("another callback after %1 us").arg(flood.longestBeforeAnother() / 1us)));
        QVERIFY(flood.longestGap() <= 2 * flood.size());
    }
};

int main(int argc, char** argv) {
    g_setenv("BINE_REACTOR", "glib", TRUE);
    if (!gtk_init_check())
        return 77; // no display: skipped
    return bine::kit::runTests<GtkDialogsTest>(argc, argv);
}
#include "gtk_dialogs_test.moc"
