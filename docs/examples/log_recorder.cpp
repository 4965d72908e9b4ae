// How a test looks at what was logged, for docs/log.md.

#include <stdexcept>

#include "bine/log/log.h"
#include "bine/log/recorder.h"

static void provoke() {
    const bine::Logger logger("till");
    logger.failure(std::make_exception_ptr(std::runtime_error("no change left")), "cannot charge", bine::LogLevel::error);
}

int main() {
    bine::LogRecorder recorder;
    provoke();
    if (recorder.flushErrors<std::runtime_error>().size() != 1) return 1;   // expected, so taken out
    if (!recorder.empty()) return 1;                                        // and nothing else
    return 0;
}
