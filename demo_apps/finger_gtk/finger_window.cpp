#include "finger_window.h"

#include <utility>

#include "bine/gtkreactor/gobject_owner.h"
#include "widgets.h"

// --- What happens

void FingerWindow::open(GtkApplication* app, bine::Reactor& reactor, const std::string& query) {
    auto* window = new FingerWindow(app, reactor);
    g_object_set_data_full(G_OBJECT(window->window_), "finger-window", window,
                           [](gpointer self) { delete static_cast<FingerWindow*>(self); });
    gtk_window_present(window->window_);
    if (query.empty()) return;
    gtk_editable_set_text(window->entry_, query.c_str());
    window->start();
}

void FingerWindow::start() {
    stop();
    std::string query = gtk_editable_get_text(entry_);
    if (isOn(window_, "long-answer") && !query.starts_with('/')) query = "/W " + query;

    auto asking = ask(std::move(query));
    asking_ = asking.ref();
    asking.ownedBy(G_OBJECT(window_));
}

void FingerWindow::stop() { asking_.cancel(); }

// When the window goes, this is unwound at its co_await.
bine::Deferred<> FingerWindow::ask(std::string query) {
    showAsking(query);
    try {
        const bine::FingerAnswer answer = co_await bine::askFinger(reactor_, query);
        showAnswer(query, answer);
    } catch (const bine::CancelledError&) {
        showPage(hasAnswer_ ? "answer" : "empty");
    } catch (const bine::InvalidFingerQuery& e) {
        showProblem(_("This Cannot Be Asked"), e.userMessage(), false);
    } catch (const bine::Error& e) {
        showProblem(_("No Answer"), e.userMessage());
    }
}

// --- What is seen

void FingerWindow::showAsking(const std::string& query) {
    setText(askingLabel_, formatted(_("Asking for %s"), query));
    showPage("asking");
}

void FingerWindow::showAnswer(const std::string& query, const bine::FingerAnswer& answer) {
    if (answer.text.empty()) {
        showProblem(_("Nothing to Say"), _("The answer is empty."));
        return;
    }
    setText(subject_, query);
    gtk_text_buffer_set_text(text_, answer.text.c_str(), static_cast<int>(answer.text.size()));
    setText(notice_, answer.notice);
    gtk_revealer_set_reveal_child(noticeBar_, !answer.complete());
    hasAnswer_ = true;
    showPage("answer");
}

void FingerWindow::showProblem(const char* title, const std::string& message, bool mayTryAgain) {
    setText(problemTitle_, title);
    setText(problem_, message);
    gtk_widget_set_visible(tryAgain_, mayTryAgain);
    showPage("problem");
}

void FingerWindow::showPage(const char* name) {
    const bool busy = std::string_view(name) == "asking";
    gtk_spinner_set_spinning(spinner_, busy);
    gtk_stack_set_visible_child_name(stack_, name);
    setBusy(busy);
}

// The one button is Stop while asking and Ask Again otherwise.
void FingerWindow::setBusy(bool busy) {
    gtk_button_set_icon_name(button_, busy ? "process-stop-symbolic" : "view-refresh-symbolic");
    gtk_widget_set_tooltip_text(GTK_WIDGET(button_), busy ? _("Stop (Esc)") : _("Ask Again (Ctrl+R)"));
    gtk_actionable_set_action_name(GTK_ACTIONABLE(button_), busy ? "win.stop" : "win.ask");
    setEnabled(window_, "stop", busy);
    setEnabled(window_, "ask", *gtk_editable_get_text(entry_) != '\0');
}

// --- How it is built

FingerWindow::FingerWindow(GtkApplication* app, bine::Reactor& reactor)
    : reactor_(reactor), window_(GTK_WINDOW(gtk_application_window_new(app))) {
    gtk_window_set_title(window_, _("Finger"));
    gtk_window_set_default_size(window_, 600, 450);
    addActions();
    gtk_window_set_titlebar(window_, makeHeader());

    stack_ = GTK_STACK(gtk_stack_new());
    gtk_stack_set_transition_type(stack_, GTK_STACK_TRANSITION_TYPE_CROSSFADE);
    gtk_stack_add_named(stack_, makePlaceholder("system-search-symbolic", _("Who Are You Looking For?"),
                                                _("Enter user@host, @host to see who is there, or a finger:// link.")), "empty");
    gtk_stack_add_named(stack_, makeAskingPage(), "asking");
    gtk_stack_add_named(stack_, makeAnswerPage(), "answer");
    gtk_stack_add_named(stack_, makeProblemPage(), "problem");
    gtk_window_set_child(window_, GTK_WIDGET(stack_));
    showPage("empty");
    gtk_widget_grab_focus(GTK_WIDGET(entry_));
}

void FingerWindow::addActions() {
    using Self = FingerWindow;
    const GActionEntry actions[] = {
        {"ask", [](GSimpleAction*, GVariant*, gpointer self) { static_cast<Self*>(self)->start(); }, nullptr, nullptr, nullptr, {}},
        {"stop", [](GSimpleAction*, GVariant*, gpointer self) { static_cast<Self*>(self)->stop(); }, nullptr, nullptr, nullptr, {}},
        {"edit", [](GSimpleAction*, GVariant*, gpointer self) { gtk_widget_grab_focus(GTK_WIDGET(static_cast<Self*>(self)->entry_)); },
         nullptr, nullptr, nullptr, {}},
        {"about", [](GSimpleAction*, GVariant*, gpointer self) { showAbout(static_cast<Self*>(self)->window_); }, nullptr, nullptr, nullptr, {}},
        {"long-answer", nullptr, nullptr, "false", nullptr, {}},
    };
    g_action_map_add_action_entries(G_ACTION_MAP(window_), actions, G_N_ELEMENTS(actions), this);
}

GtkWidget* FingerWindow::makeHeader() {
    entry_ = GTK_EDITABLE(gtk_search_entry_new());
    g_object_set(entry_, "placeholder-text", _("user@host or finger://host/user"), nullptr);
    gtk_editable_set_width_chars(entry_, 12);
    gtk_editable_set_max_width_chars(entry_, 36);
    gtk_widget_set_hexpand(GTK_WIDGET(entry_), TRUE);
    g_signal_connect_swapped(entry_, "activate", G_CALLBACK(+[](FingerWindow* self) { self->start(); }), this);
    g_signal_connect_swapped(entry_, "changed",
                             G_CALLBACK(+[](FingerWindow* self) {
                                 setEnabled(self->window_, "ask", *gtk_editable_get_text(self->entry_) != '\0');
                             }), this);

    button_ = GTK_BUTTON(gtk_button_new());
    GtkWidget* header = gtk_header_bar_new();
    gtk_header_bar_set_title_widget(GTK_HEADER_BAR(header), GTK_WIDGET(entry_));
    gtk_header_bar_pack_start(GTK_HEADER_BAR(header), GTK_WIDGET(button_));
    gtk_header_bar_pack_end(GTK_HEADER_BAR(header), makeMenuButton());
    return header;
}

GtkWidget* FingerWindow::makeAskingPage() {
    spinner_ = GTK_SPINNER(gtk_spinner_new());
    gtk_widget_set_size_request(GTK_WIDGET(spinner_), 32, 32);
    askingLabel_ = makeLabel("", "dim-label");
    GtkWidget* page = makeCentredColumn(18);
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(spinner_));
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(askingLabel_));
    return page;
}

GtkWidget* FingerWindow::makeAnswerPage() {
    subject_ = makeLabel("", "title-4");
    gtk_label_set_xalign(subject_, 0);
    gtk_label_set_ellipsize(subject_, PANGO_ELLIPSIZE_MIDDLE);
    gtk_label_set_wrap(subject_, FALSE);
    setMargins(GTK_WIDGET(subject_), 18, 12);

    GtkWidget* view = gtk_text_view_new();
    text_ = gtk_text_view_get_buffer(GTK_TEXT_VIEW(view));
    gtk_text_view_set_monospace(GTK_TEXT_VIEW(view), TRUE);
    gtk_text_view_set_editable(GTK_TEXT_VIEW(view), FALSE);
    gtk_text_view_set_cursor_visible(GTK_TEXT_VIEW(view), FALSE);
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(view), GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_left_margin(GTK_TEXT_VIEW(view), 18);
    gtk_text_view_set_right_margin(GTK_TEXT_VIEW(view), 18);
    gtk_text_view_set_top_margin(GTK_TEXT_VIEW(view), 12);
    gtk_text_view_set_bottom_margin(GTK_TEXT_VIEW(view), 18);
    GtkWidget* scrolled = gtk_scrolled_window_new();
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scrolled), view);
    gtk_widget_set_vexpand(scrolled, TRUE);

    notice_ = makeLabel("", nullptr);
    noticeBar_ = makeBanner(notice_);
    GtkWidget* page = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(noticeBar_));
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(subject_));
    gtk_box_append(GTK_BOX(page), gtk_separator_new(GTK_ORIENTATION_HORIZONTAL));
    gtk_box_append(GTK_BOX(page), scrolled);
    return page;
}

GtkWidget* FingerWindow::makeProblemPage() {
    GtkWidget* page = makePlaceholder("dialog-error-symbolic", "", "", &problemTitle_, &problem_);
    tryAgain_ = gtk_button_new_with_mnemonic(_("_Try Again"));
    gtk_widget_add_css_class(tryAgain_, "suggested-action");
    gtk_widget_set_halign(tryAgain_, GTK_ALIGN_CENTER);
    gtk_widget_set_margin_top(tryAgain_, 12);
    gtk_actionable_set_action_name(GTK_ACTIONABLE(tryAgain_), "win.ask");
    gtk_box_append(GTK_BOX(page), tryAgain_);
    return page;
}
