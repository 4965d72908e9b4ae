// The echo server in GLib's main loop, with a GTK 4 window.
#include <gtk/gtk.h>

#include <iostream>

#include "../command_line.h"
#include "bine/gtkreactor/glib_reactor.h"
#include "bine/gtkreactor/gobject_owner.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "echo_protocol.h"

namespace {

/// A window with a list of names and values. It holds its labels, so they may be written to until the end.
class EchoWindow {
public:
    explicit EchoWindow(GMainLoop* loop) : window_(GTK_WINDOW(gtk_window_new())) {
        gtk_window_set_title(window_, "Echo");
        gtk_window_set_default_size(window_, 420, -1);
        gtk_window_set_titlebar(window_, gtk_header_bar_new());

        GtkWidget* heading = gtk_label_new("What Comes In Goes Out");
        gtk_widget_add_css_class(heading, "title-2");
        GtkWidget* list = gtk_list_box_new();
        gtk_list_box_set_selection_mode(GTK_LIST_BOX(list), GTK_SELECTION_NONE);
        gtk_widget_add_css_class(list, "rich-list");
        address_ = addRow(list, "Listening on");
        connections_ = addRow(list, "Connections");
        echoed_ = addRow(list, "Echoed");
        GtkWidget* frame = gtk_frame_new(nullptr);
        gtk_frame_set_child(GTK_FRAME(frame), list);

        GtkWidget* column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 18);
        gtk_widget_set_margin_start(column, 18);
        gtk_widget_set_margin_end(column, 18);
        gtk_widget_set_margin_top(column, 18);
        gtk_widget_set_margin_bottom(column, 18);
        gtk_box_append(GTK_BOX(column), heading);
        gtk_box_append(GTK_BOX(column), frame);
        gtk_window_set_child(window_, column);
        show({});

        GtkEventController* keys = gtk_shortcut_controller_new();
        for (const char* key : {"<Control>w", "<Control>q"})
            gtk_shortcut_controller_add_shortcut(GTK_SHORTCUT_CONTROLLER(keys),
                                                 gtk_shortcut_new(gtk_shortcut_trigger_parse_string(key),
                                                                  gtk_named_action_new("window.close")));
        gtk_widget_add_controller(GTK_WIDGET(window_), keys);
        g_signal_connect_swapped(window_, "destroy", G_CALLBACK(g_main_loop_quit), loop);
    }
    ~EchoWindow() {
        for (GtkLabel* label : {address_, connections_, echoed_}) g_object_unref(label);
    }
    EchoWindow(const EchoWindow&) = delete;
    EchoWindow& operator=(const EchoWindow&) = delete;

    GtkWindow* window() const { return window_; }
    void setAddress(const std::string& address) { gtk_label_set_text(address_, address.c_str()); }
    void show(const EchoCount& count) {
        const std::string connections = std::to_string(count.connections) + " now, " + std::to_string(count.served) + " in all";
        gtk_label_set_text(connections_, connections.c_str());
        gtk_label_set_text(echoed_, inUnits(count.bytes).c_str());
    }

private:
    static GtkLabel* addRow(GtkWidget* list, const char* name) {
        GtkWidget* row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
        gtk_widget_set_margin_top(row, 6);
        gtk_widget_set_margin_bottom(row, 6);
        GtkWidget* title = gtk_label_new(name);
        gtk_label_set_xalign(GTK_LABEL(title), 0);
        gtk_widget_set_hexpand(title, TRUE);
        GtkWidget* value = gtk_label_new(nullptr);
        gtk_widget_add_css_class(value, "dim-label");
        gtk_label_set_selectable(GTK_LABEL(value), TRUE);
        gtk_widget_set_focusable(value, FALSE);
        gtk_box_append(GTK_BOX(row), title);
        gtk_box_append(GTK_BOX(row), value);
        gtk_list_box_append(GTK_LIST_BOX(list), row);
        gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(gtk_widget_get_parent(row)), FALSE);
        return GTK_LABEL(g_object_ref(value));
    }

    GtkWindow* window_;
    GtkLabel* address_;
    GtkLabel* connections_;
    GtkLabel* echoed_;
};

}  // namespace

int main(int argc, char** argv) {
    const CommandLine options(argc, argv, "echo_gtk [--port N] [--interface ADDRESS]", {"--port", "--interface"});
    if (!gtk_init_check()) {
        std::cerr << "There is no display to open a window on.\n";
        return 1;
    }
    GMainLoop* loop = g_main_loop_new(nullptr, FALSE);
    int code = 0;
    try {
        EchoWindow window(loop);
        bine::GlibReactor reactor;
        auto factory = std::make_shared<EchoFactory>(reactor, [&](const EchoCount& count) { window.show(count); });
        const auto port = bine::listenTCP(reactor, options.port(8002), factory,
                                          bine::TCPServerOptions().listenOn(options.value("--interface", "127.0.0.1")));
        port.ownedBy(G_OBJECT(window.window()));
        window.setAddress(port.getHost().text());
        gtk_window_present(window.window());
        g_main_loop_run(loop);
    } catch (const bine::Error& e) {
        std::cerr << e.userMessage() << "\n";
        code = 1;
    }
    g_main_loop_unref(loop);
    return code;
}
