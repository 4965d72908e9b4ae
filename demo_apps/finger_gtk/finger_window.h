#pragma once
// The window of finger_gtk: an entry, what was answered, and what went wrong. It lives as long as its GtkWindow.

#include <gtk/gtk.h>

#include <string>

#include "bine/defer/deferred.h"
#include "bine/protocols/finger.h"
#include "bine/reactors/reactor.h"

class FingerWindow {
public:
    /// Opens a window, and asks at once if there is a query.
    static void open(GtkApplication* app, bine::Reactor& reactor, const std::string& query);

private:
    FingerWindow(GtkApplication* app, bine::Reactor& reactor);

    // What happens.
    void start();
    void stop();
    bine::Deferred<> ask(std::string query);

    // What is seen.
    void showAsking(const std::string& query);
    void showAnswer(const std::string& query, const bine::FingerAnswer& answer);
    void showProblem(const char* title, const std::string& message, bool mayTryAgain = true);
    void showPage(const char* name);
    void setBusy(bool busy);

    void addActions();
    GtkWidget* makeHeader();
    GtkWidget* makeAskingPage();
    GtkWidget* makeAnswerPage();
    GtkWidget* makeProblemPage();

    bine::Reactor& reactor_;
    bine::DeferredRef asking_;
    bool hasAnswer_ = false;

    GtkWindow* window_;
    GtkEditable* entry_ = nullptr;
    GtkButton* button_ = nullptr;
    GtkStack* stack_ = nullptr;
    GtkSpinner* spinner_ = nullptr;
    GtkLabel* askingLabel_ = nullptr;
    GtkLabel* subject_ = nullptr;
    GtkTextBuffer* text_ = nullptr;
    GtkRevealer* noticeBar_ = nullptr;
    GtkLabel* notice_ = nullptr;
    GtkLabel* problemTitle_ = nullptr;
    GtkLabel* problem_ = nullptr;
    GtkWidget* tryAgain_ = nullptr;
};
