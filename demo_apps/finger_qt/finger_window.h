#pragma once
// The window of finger_qt: a tool bar with an entry, what was answered, and a panel for what went wrong.

#include <QCoreApplication>
#include <QLabel>
#include <QLineEdit>
#include <QMainWindow>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QStackedWidget>
#include <QToolBar>

#include "bine/defer/deferred.h"
#include "bine/protocols/finger.h"
#include "bine/reactors/reactor.h"
#include "message_panel.h"

class FingerWindow : public QMainWindow {
    Q_DECLARE_TR_FUNCTIONS(FingerWindow)

public:
    explicit FingerWindow(bine::Reactor& reactor);
    /// Asks "user@host", or a link; the question before is cancelled.
    void ask(const QString& query);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    // What happens.
    void start();
    void stop();
    void showAnswer(const bine::FingerAnswer& answer);
    void showFailure(const bine::Failure& failure);
    void showText(const QString& text);
    void showStatus(const QString& text);
    void setBusy(bool busy);

    // How it is built.
    void makeActions();
    void makeMenus();
    void makeToolBar();
    void makeContent();
    QWidget* makePlaceholder();
    QAction* makeAction(const QString& text, const QIcon& icon, const QList<QKeySequence>& keys, void (FingerWindow::*call)());
    void showAbout();

    bine::Reactor& reactor_;
    bine::DeferredRef asking_;
    QString query_;

    QToolBar* bar_ = nullptr;
    QLineEdit* entry_ = nullptr;
    QAction* ask_ = nullptr;
    QAction* stop_ = nullptr;
    QAction* longAnswer_ = nullptr;
    QAction* showMenu_ = nullptr;
    MessagePanel* panel_ = nullptr;
    QStackedWidget* pages_ = nullptr;
    QWidget* placeholder_ = nullptr;
    QWidget* blank_ = nullptr;
    QPlainTextEdit* text_ = nullptr;
    QLabel* status_ = nullptr;
    QProgressBar* progress_ = nullptr;
};
