// finger_gtk [QUERY]: asks finger servers, in GLib's main loop.
#include <glib/gi18n.h>
#include <gtk/gtk.h>

#include <clocale>
#include <string>

#include "bine/gtkreactor/glib_reactor.h"
#include "finger_window.h"

namespace {

struct Program {
    bine::Reactor& reactor;
    std::string query;
};

int readOptions(GApplication*, GVariantDict* options, gpointer program) {
    const char** words = nullptr;
    g_variant_dict_lookup(options, G_OPTION_REMAINING, "^a&s", &words);
    std::string& query = static_cast<Program*>(program)->query;
    for (const char** word = words; word && *word; ++word) query += (query.empty() ? "" : " ") + std::string(*word);
    g_free(words);
    return -1;  // go on
}

void activate(GtkApplication* app, gpointer data) {
    auto& program = *static_cast<Program*>(data);
    FingerWindow::open(app, program.reactor, program.query);
}

void setKeys(GtkApplication* app) {
    const auto keys = [app](const char* action, std::initializer_list<const char*> names) {
        std::vector<const char*> list(names);
        list.push_back(nullptr);
        gtk_application_set_accels_for_action(app, action, list.data());
    };
    keys("app.quit", {"<Control>q"});
    keys("window.close", {"<Control>w"});
    keys("win.ask", {"<Control>r", "F5"});
    keys("win.stop", {"Escape"});
    keys("win.edit", {"<Control>l", "<Control>k"});
}

}  // namespace

int main(int argc, char** argv) {
    std::setlocale(LC_ALL, "");
    textdomain("bine-finger");
    bine::GlibReactor reactor;
    Program program{reactor, {}};

    GtkApplication* app = gtk_application_new("org.bine.Finger", G_APPLICATION_NON_UNIQUE);
    g_set_application_name(_("Finger"));
    const GOptionEntry entries[] = {
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, nullptr, _("Who to look for: user@host, or @host"), "[QUERY]"}, {}};
    g_application_add_main_option_entries(G_APPLICATION(app), entries);
    const GActionEntry actions[] = {
        {"quit", [](GSimpleAction*, GVariant*, gpointer app) { g_application_quit(G_APPLICATION(app)); }, nullptr, nullptr, nullptr, {}}};
    g_action_map_add_action_entries(G_ACTION_MAP(app), actions, G_N_ELEMENTS(actions), app);
    g_signal_connect(app, "handle-local-options", G_CALLBACK(readOptions), &program);
    g_signal_connect(app, "startup", G_CALLBACK(setKeys), nullptr);
    g_signal_connect(app, "activate", G_CALLBACK(activate), &program);
    const int code = g_application_run(G_APPLICATION(app), argc, argv);
    g_object_unref(app);
    return code;
}
