#include "kit/reactor_test.h"

class SystemEventsTest : public bine::kit::ReactorTest {
    Q_OBJECT
};

int main(int argc, char** argv) { return bine::kit::runTests<SystemEventsTest>(argc, argv); }
#include "system_events.moc"
