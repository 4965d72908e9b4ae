#pragma once
// QtReactor: the reactor inside the event loop that Qt runs on this thread.
//
// Made after the QCoreApplication (or inside a QThread), it is attached at once: connections, timers and calls
// are served wherever Qt's loop runs, in exec(), in dialogs, in processEvents(). On the thread that made it,
// as Reactor says. It costs Qt one QSocketNotifier whatever there is to serve, and idle nothing.
//
// Either the application keeps its `return app.exec();`, and stop() detaches the reactor while Qt goes on; or
// run() runs Qt's loop, and stop() ends it with all loops nested in it. QCoreApplication::aboutToQuit, or the
// end of the QThread, shuts the reactor down.

#include <memory>

#include "bine/reactors/native_reactors.h"

namespace bine::inline v0 {

class BINE_EXPORT QtReactor : public EpollReactor {
public:
    /// Attached, and started by Qt's first turn. Throws NoHostLoop if Qt has no loop on this thread yet.
    QtReactor();
    /// Shuts down if that has not happened, within the deadline. Allowed in any callback, and after the
    /// QCoreApplication is gone.
    ~QtReactor() override;

    /// Runs Qt's loop until stop() or crash(), or until Qt quits: then the shutdown phases run before this
    /// returns. Throws ReactorAlreadyRunning where Qt's loop runs already: the reactor is attached to it.
    void run() override;
    /// The same with an exec() of your choice; GUI programs say run(&QApplication::exec), since QtGui's does
    /// more than QtCore's.
    void run(int (*exec)());
    /// After stop() or crash(): back into Qt's loop, whose next turn starts the reactor afresh. Throws
    /// ReactorAlreadyRunning, NoHostLoop, and ReactorNotRestartable during the shutdown.
    void attach() override;

protected:
    void shutdownFinished() override;
    void holdTurns(bool held) override;
    bool loopRuns() const override;

private:
    class Host;
    struct ReleaseHost {
        void operator()(Host* host) const noexcept;
    };
    std::unique_ptr<Host, ReleaseHost> host_;
};

/// From here on reactorByName("qt") makes a QtReactor (bine/reactors/reactor_names.h). Any thread.
BINE_EXPORT void registerQtReactor();

} // namespace bine::inline v0
