#include "finger_window.h"

#include <QAction>
#include <QApplication>
#include <QFontDatabase>
#include <QMenuBar>
#include <QMessageBox>
#include <QPainter>
#include <QStatusBar>
#include <QTextOption>
#include <QVBoxLayout>

#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_text.h"

namespace {

/// Somebody, in a quiet colour of the palette.
QLabel* makePerson(const QPalette& palette, qreal ratio) {
    constexpr int size = 96;
    QPixmap pixmap(QSize(size, size) * ratio);
    pixmap.setDevicePixelRatio(ratio);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(palette.color(QPalette::Mid));
    painter.drawEllipse(QRectF(28, 8, 40, 40));
    painter.setClipRect(0, 0, size, 88);
    painter.drawRoundedRect(QRectF(10, 54, 76, 60), 30, 30);
    painter.end();
    auto* label = new QLabel;
    label->setPixmap(pixmap);
    label->setAlignment(Qt::AlignCenter);
    return label;
}

}  // namespace

// --- What happens

FingerWindow::FingerWindow(bine::Reactor& reactor) : reactor_(reactor) {
    setWindowTitle(tr("Finger (Qt)"));
    makeActions();
    makeMenus();
    makeToolBar();
    makeContent();
    setBusy(false);
    resize(600, 450);
    entry_->setFocus();
}

void FingerWindow::ask(const QString& query) {
    entry_->setText(query);
    start();
}

// When the window goes, the question is cancelled and neither callback is called.
void FingerWindow::start() {
    stop();
    query_ = entry_->text().trimmed();
    if (longAnswer_->isChecked() && !query_.startsWith('/')) query_.prepend("/W ");
    panel_->hide();
    setBusy(true);
    auto asking = bine::askFinger(reactor_, query_)
                      .ownedBy(this)
                      .addCallback([this](const bine::FingerAnswer& answer) { showAnswer(answer); })
                      .addErrback([this](const bine::Failure& failure) { showFailure(failure); });
    asking_ = asking.ref();
}

void FingerWindow::stop() { asking_.cancel(); }

void FingerWindow::showAnswer(const bine::FingerAnswer& answer) {
    setBusy(false);
    showText(QString::fromStdString(answer.text));
    pages_->setCurrentWidget(text_);
    const int lines = text_->document()->blockCount() - (answer.text.ends_with('\n') || answer.text.empty() ? 1 : 0);
    if (lines == 0)
        showStatus(tr("The answer to %1 is empty").arg(query_));
    else
        showStatus(lines == 1 ? tr("%1: 1 line").arg(query_) : tr("%1: %2 lines").arg(query_, QString::number(lines)));
    if (!answer.complete()) panel_->showMessage(MessagePanel::Kind::warning, QString::fromStdString(answer.notice));
}

// The answer to an earlier question would be taken for the answer to this one.
void FingerWindow::showFailure(const bine::Failure& failure) {
    setBusy(false);
    pages_->setCurrentWidget(blank_);
    if (failure.check<bine::CancelledError>())
        showStatus(tr("Stopped"));
    else
        panel_->showMessage(MessagePanel::Kind::error, QString::fromStdString(failure.userMessage()),
                            !failure.check<bine::InvalidFingerQuery>());
}

void FingerWindow::setBusy(bool busy) {
    progress_->setVisible(busy);
    stop_->setEnabled(busy);
    showStatus(busy ? tr("Asking for %1").arg(query_) : QString());
}

// Each paragraph runs as its first letter does; the text stands at the side where it begins.
void FingerWindow::showText(const QString& text) {
    QTextOption option = text_->document()->defaultTextOption();
    option.setTextDirection(Qt::LayoutDirectionAuto);
    option.setAlignment(text.isRightToLeft() ? Qt::AlignRight : Qt::AlignLeft);
    text_->document()->setDefaultTextOption(option);
    text_->setPlainText(text);
}

void FingerWindow::showStatus(const QString& text) { status_->setText(text); }

// A narrow window shows the icons alone, so that nothing leaves the bar.
void FingerWindow::resizeEvent(QResizeEvent* event) {
    QMainWindow::resizeEvent(event);
    const bool narrow = width() < fontMetrics().horizontalAdvance('x') * 60;
    bar_->setToolButtonStyle(narrow ? Qt::ToolButtonIconOnly : Qt::ToolButtonTextBesideIcon);
}

// --- How it is built

QAction* FingerWindow::makeAction(const QString& text, const QIcon& icon, const QList<QKeySequence>& keys, void (FingerWindow::*call)()) {
    auto* action = new QAction(icon, text, this);
    action->setShortcuts(keys);
    if (call) connect(action, &QAction::triggered, this, call);
    addAction(action);  // its keys work while the menu bar is hidden, too
    return action;
}

void FingerWindow::makeActions() {
    const auto icon = [this](const char* name, QStyle::StandardPixmap otherwise) {
        return QIcon::fromTheme(name, style()->standardIcon(otherwise));
    };
    ask_ = makeAction(tr("&Ask"), icon("edit-find", QStyle::SP_FileDialogContentsView), {QKeySequence::Refresh, QKeySequence("Ctrl+R")}, &FingerWindow::start);
    stop_ = makeAction(tr("&Stop"), icon("process-stop", QStyle::SP_BrowserStop), {QKeySequence("Esc")}, &FingerWindow::stop);
    longAnswer_ = new QAction(tr("&Long Answers"), this);
    longAnswer_->setCheckable(true);
    showMenu_ = new QAction(tr("Show &Menubar"), this);
    showMenu_->setCheckable(true);
    showMenu_->setChecked(true);
    showMenu_->setShortcut(QKeySequence("Ctrl+M"));
    connect(showMenu_, &QAction::toggled, this, [this](bool on) { menuBar()->setVisible(on); });
    addAction(showMenu_);
}

void FingerWindow::makeMenus() {
    auto* file = menuBar()->addMenu(tr("&File"));
    file->addAction(ask_);
    file->addAction(stop_);
    file->addSeparator();
    auto* close = makeAction(tr("&Close"), QIcon::fromTheme("window-close"), {QKeySequence::Close}, nullptr);
    connect(close, &QAction::triggered, this, &QWidget::close);
    auto* quit = makeAction(tr("&Quit"), QIcon::fromTheme("application-exit"), {QKeySequence::Quit}, nullptr);
    connect(quit, &QAction::triggered, qApp, &QApplication::closeAllWindows);
    file->addActions({close, quit});
    menuBar()->addMenu(tr("&Settings"))->addActions({longAnswer_, showMenu_});
    auto* about = new QAction(tr("&About Finger"), this);
    connect(about, &QAction::triggered, this, &FingerWindow::showAbout);
    menuBar()->addMenu(tr("&Help"))->addAction(about);
}

void FingerWindow::makeToolBar() {
    auto* bar = bar_ = addToolBar(tr("Main Toolbar"));
    bar->setMovable(false);
    bar->setContextMenuPolicy(Qt::PreventContextMenu);
    bar->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    entry_ = new QLineEdit;
    entry_->setObjectName("query");
    entry_->setAccessibleName(tr("Who to look for"));
    entry_->setPlaceholderText("user@host or finger://host/user");
    entry_->setClearButtonEnabled(true);
    connect(entry_, &QLineEdit::returnPressed, this, &FingerWindow::start);
    connect(entry_, &QLineEdit::textChanged, this, [this](const QString& text) { ask_->setEnabled(!text.trimmed().isEmpty()); });
    ask_->setEnabled(false);
    bar->addWidget(entry_);
    bar->addAction(ask_);
    bar->addAction(stop_);
    auto* edit = new QAction(this);
    edit->setShortcut(QKeySequence("Ctrl+L"));
    connect(edit, &QAction::triggered, entry_, [this] { entry_->setFocus(), entry_->selectAll(); });
    addAction(edit);
}

void FingerWindow::makeContent() {
    panel_ = new MessagePanel(ask_);
    text_ = new QPlainTextEdit;
    text_->setReadOnly(true);
    text_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    text_->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
    text_->setTabStopDistance(8 * QFontMetricsF(text_->font()).horizontalAdvance(' '));
    text_->setAccessibleName(tr("Answer"));
    text_->setFrameShape(QFrame::NoFrame);
    text_->document()->setDocumentMargin(style()->pixelMetric(QStyle::PM_LayoutLeftMargin));
    pages_ = new QStackedWidget;
    pages_->addWidget(placeholder_ = makePlaceholder());
    pages_->addWidget(text_);
    pages_->addWidget(blank_ = new QWidget);
    pages_->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Ignored);  // a message comes first

    auto* content = new QWidget;
    auto* column = new QVBoxLayout(content);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(panel_);
    column->addWidget(pages_, 1);
    setCentralWidget(content);

    // A label of its own: a menu's status tips take away what showMessage() shows.
    status_ = new QLabel;
    status_->setTextFormat(Qt::PlainText);
    status_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    statusBar()->addWidget(status_, 1);
    progress_ = new QProgressBar;
    progress_->setRange(0, 0);
    progress_->setMaximumWidth(fontMetrics().horizontalAdvance('x') * 16);
    progress_->setTextVisible(false);
    statusBar()->addPermanentWidget(progress_);
}

QWidget* FingerWindow::makePlaceholder() {
    const auto label = [](const QString& text, double scale) {
        auto* made = new QLabel(text);
        QFont font = made->font();
        font.setPointSizeF(font.pointSizeF() * scale);
        made->setFont(font);
        made->setAlignment(Qt::AlignCenter);
        made->setWordWrap(true);
        return made;
    };
    auto* heading = label(tr("Who Are You Looking For?"), 1.6);
    auto* line = label(tr("Enter user@host, @host to see who is there, or a finger:// link."), 1);
    auto* page = new QWidget;
    auto* column = new QVBoxLayout(page);
    column->addStretch();
    column->addWidget(makePerson(palette(), devicePixelRatioF()));
    column->addWidget(heading);
    column->addWidget(line);
    column->addStretch();
    return page;
}

void FingerWindow::showAbout() {
    QMessageBox::about(this, tr("About Finger"),
                       tr("Asks hosts about their users (RFC 1288).\n\nA demonstration of Bine: networking in Qt's own event loop."));
}
