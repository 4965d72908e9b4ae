#include "kit/reactor_test.h"

class TimeTest : public bine::kit::ReactorTest {
    Q_OBJECT
};

int main(int argc, char** argv) { return bine::kit::runTests<TimeTest>(argc, argv); }
#include "time.moc"
