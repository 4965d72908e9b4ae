// Compiles: gapplication.h before Qt's headers, which make `signals` a macro.

#include "bine/gtkreactor/gapplication.h"

#include <QtCore/QtCore>

void runInBeforeQt(bine::GlibReactor& reactor, GApplication* application) {
    bine::registerGApplication(reactor, application);
}

class BeforeQt : public QObject {
signals:
    void changed();
};
