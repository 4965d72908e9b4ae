#pragma once
// Frames in Qt's loop: of a precise QTimer, or (BENCH_WINDOW) of a window that this timer updates.

#include <QTimer>
#include <memory>

#include "frame.h"
#ifdef BENCH_WINDOW
#include <QApplication>
#include <QPaintEvent>
#include <QPainter>
#include <QWidget>
using Application = QApplication;
inline constexpr int canShow = CanShowWindow;
#else
#include <QCoreApplication>
using Application = QCoreApplication;
inline constexpr int canShow = 0;
#endif

/// Paints from its making on, if the options say so.
class QtFrames {
public:
    explicit QtFrames(const Options& options) {
        if (options.frameNs == 0) return;
        timer_.setTimerType(Qt::PreciseTimer);
        timer_.setInterval(static_cast<int>(options.frameNs / 1'000'000));
        timer_.callOnTimeout([this] {
            reportFramesIfAsked(&frames_);
            tick();
        });
#ifdef BENCH_WINDOW
        if (options.window) {
            window_ = std::make_unique<Window>(*this);
            window_->resize(400, 300);
            window_->show();
        }
#endif
        beginFrames(&frames_, &options);
        timer_.start();
    }

private:
    void paint() {
        if (startFrame(&frames_)) timer_.start(); // Qt's grid begins anew with ours
        workFrame(&frames_);
    }

#ifdef BENCH_WINDOW
    class Window : public QWidget {
    public:
        explicit Window(QtFrames& frames) : frames_(frames) {}

    protected:
        void paintEvent(QPaintEvent* event) override {
            // A window is also painted when it is shown.
            if (frames_.timer_.isActive() && frameDue(&frames_.frames_)) frames_.paint();
            QPainter(this).fillRect(event->rect(), QColor::fromHsv(hue_ = (hue_ + 1) % 360, 80, 200));
        }

    private:
        QtFrames& frames_;
        int hue_ = 0;
    };

    void tick() { window_ ? window_->update() : paint(); }
    std::unique_ptr<Window> window_;
#else
    void tick() { paint(); }
#endif

    QTimer timer_;
    Frames frames_ = {};
};
