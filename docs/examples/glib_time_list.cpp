// A list of clocks in GTK 4: asks several hosts for the time at once (RFC 867), and shows each answer as it comes.
#include <gtk/gtk.h>

#include <string>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/gtkreactor/gobject_owner.h"
#include "bine/net/stream.h"

using namespace std::chrono_literals;

static bine::Deferred<> showTime(bine::Reactor& reactor, GtkLabel* label, std::string host) {
    try {
        bine::Stream stream = co_await bine::openConnection(reactor, host, 13);
        auto reading = stream.readLine().addTimeout(5s, reactor);
        const std::string time = co_await std::move(reading);
        gtk_label_set_text(label, (host + ": " + time).c_str());
    } catch (const bine::Error& error) {
        gtk_label_set_text(label, (host + ": " + error.userMessage()).c_str());
    }
}

static void activate(GtkApplication* app, gpointer reactor) {
    GtkWidget* window = gtk_application_window_new(app);
    GtkWidget* list = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    gtk_window_set_child(GTK_WINDOW(window), list);
    for (const char* host : {"time.example.org", "localhost", "192.0.2.1"}) {
        GtkWidget* label = gtk_label_new(host);
        gtk_box_append(GTK_BOX(list), label);
        showTime(*static_cast<bine::Reactor*>(reactor), GTK_LABEL(label), host).ownedBy(G_OBJECT(label));
    }
    gtk_window_present(GTK_WINDOW(window));
}

int main(int argc, char** argv) {
    bine::GlibReactor reactor;
    GtkApplication* app = gtk_application_new("org.example.Times", G_APPLICATION_DEFAULT_FLAGS);
    g_signal_connect(app, "activate", G_CALLBACK(activate), static_cast<bine::Reactor*>(&reactor));
    const int status = g_application_run(G_APPLICATION(app), argc, argv);
    g_object_unref(app);
    return status;
}
