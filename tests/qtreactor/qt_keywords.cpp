// Compiles: Bine's headers after Qt's, with `signals`, `slots`, `emit` and `foreach` as macros.

#include <QtCore/QtCore>

#ifndef emit
#error "this test wants Qt's keywords"
#endif

#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"

bine::DelayedCall later(bine::QtReactor& reactor, QTimer& owner) {
    return reactor.callLater(std::chrono::seconds(1), [] {}).ownedBy(owner);
}
