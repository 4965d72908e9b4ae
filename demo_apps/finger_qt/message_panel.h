#pragma once
// MessagePanel: a message in the layout, next to what it is about. It takes no room while there is none, and shows plain text only.

#include <QCoreApplication>
#include <QFrame>
#include <QGridLayout>
#include <QLabel>
#include <QPainter>
#include <QStyle>
#include <QToolButton>

class MessagePanel : public QFrame {
    Q_DECLARE_TR_FUNCTIONS(MessagePanel)

public:
    enum class Kind { warning, error };

    explicit MessagePanel(QAction* remedy) : remedy_(new QToolButton), dismiss_(new QToolButton) {
        text_.setTextFormat(Qt::PlainText);
        text_.setWordWrap(true);
        text_.setTextInteractionFlags(Qt::TextSelectableByMouse);
        text_.setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
        remedy_->setDefaultAction(remedy);
        remedy_->setText(tr("Try Again"));
        remedy_->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
        dismiss_->setIcon(style()->standardIcon(QStyle::SP_TitleBarCloseButton));
        dismiss_->setToolTip(tr("Close"));
        dismiss_->setAutoRaise(true);
        connect(dismiss_, &QToolButton::clicked, this, &QWidget::hide);
        margin_ = style()->pixelMetric(QStyle::PM_LayoutLeftMargin) / 2;
        auto* grid = new QGridLayout(this);
        grid->setContentsMargins(2 * margin_, 2 * margin_, 2 * margin_, 2 * margin_);
        grid->addWidget(&icon_, 0, 0, Qt::AlignTop);
        grid->addWidget(&text_, 0, 1);
        grid->addWidget(dismiss_, 0, 2, Qt::AlignTop);
        grid->addWidget(remedy_, 1, 1, Qt::AlignLeft);
        grid->setColumnStretch(1, 1);
        hide();
    }
    void showMessage(Kind kind, const QString& text, bool mayTryAgain = false) {
        kind_ = kind;
        const int size = style()->pixelMetric(QStyle::PM_SmallIconSize);
        icon_.setPixmap(style()->standardIcon(kind == Kind::error ? QStyle::SP_MessageBoxCritical : QStyle::SP_MessageBoxWarning).pixmap(size));
        text_.setText(text);
        remedy_->setVisible(mayTryAgain);
        remedy_->setText(tr("Try Again"));
        show();
        update();
    }

protected:
    // A tint of the palette's own base, so that dark styles stay dark.
    void paintEvent(QPaintEvent*) override {
        const QColor colour = kind_ == Kind::error ? QColor(218, 68, 83) : QColor(246, 116, 0);
        QColor tint = colour;
        tint.setAlphaF(0.15F);
        QPainter painter(this);
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(colour);
        painter.setBrush(tint);
        painter.drawRoundedRect(QRectF(rect()).adjusted(margin_ + 0.5, margin_ + 0.5, -margin_ - 0.5, -margin_ - 0.5), 3, 3);
    }

private:
    QLabel icon_, text_;
    QToolButton* remedy_;
    QToolButton* dismiss_;
    Kind kind_ = Kind::error;
    int margin_ = 0;
};
