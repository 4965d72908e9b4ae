// The GTK example of README.md.

#include <gtk/gtk.h>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/gtkreactor/gobject_owner.h"
#include "bine/protocols/finger.h"

bine::Deferred<> lookUp(bine::Reactor& reactor, GtkLabel* label, std::string query) {
    try {
        std::string answer = co_await bine::finger(reactor, query);
        gtk_label_set_text(label, answer.c_str());
    } catch (const bine::Error& e) {
        gtk_label_set_text(label, e.userMessage().c_str());
    }
}

int main() {
    gtk_init();
    bine::GlibReactor reactor;
    GtkWidget* window = gtk_window_new();
    GtkLabel* label = GTK_LABEL(gtk_label_new("Asking ..."));
    gtk_window_set_child(GTK_WINDOW(window), GTK_WIDGET(label));
    lookUp(reactor, label, "alice@localhost:7979").ownedBy(G_OBJECT(label));     // reactor is a bine::GlibReactor
    gtk_window_present(GTK_WINDOW(window));
    while (g_list_model_get_n_items(gtk_window_get_toplevels()) > 0) g_main_context_iteration(nullptr, TRUE);
}
