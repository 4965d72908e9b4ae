#pragma once
// Qt's loop of this thread, for the hosts qt, qt-noglib and qt+gtk.

#include <memory>

#include <QtCore/qcoreapplication.h>
#include <QtCore/qeventloop.h>

#include "kit/host_loop.h"

namespace bine::kit {

/// On the main thread it makes the QCoreApplication, if there is none; on another one it needs a QThread.
class QtLoop : public HostLoop {
public:
    QtLoop();
    ~QtLoop() override;

    std::unique_ptr<ReactorBase> makeReactor() override;
    void run() override;
    void quit() override;
    void turn(std::chrono::milliseconds longest) override;
    void turnWithoutSockets() override;
    std::unique_ptr<NestedLoop> nested() override;
    void timer(std::chrono::milliseconds delay, std::function<void()> f) override;
    void callback(std::function<void()> f) override;
    bool destroy() override;
    HostObjects objects() const override { return qtObjects(); }

private:
    int argc_ = 1;
    char name_[16] = "conformance";
    char* argv_[2] = {name_, nullptr};
    std::unique_ptr<QCoreApplication> application_;
    std::unique_ptr<QObject> context_; // what is still pending dies with it
    QEventLoop* threadLoop_ = nullptr;
};

} // namespace bine::kit
