// Compiles: gapplication.h after Qt's headers, which make `signals` a macro.

#include <QtCore/QtCore>

#ifndef signals
#error "this test wants Qt's keywords"
#endif

#include "bine/gtkreactor/gapplication.h"

#ifndef signals
#error "the header takes Qt's keywords away"
#endif

void runInAfterQt(bine::GlibReactor& reactor, GApplication* application) {
    bine::registerGApplication(reactor, application);
}

class AfterQt : public QObject {
signals:
    void changed();
};
