// A program whose user chooses the reactor: `reactor_names poll`.

#include <cstdio>
#include <exception>
#include <memory>

#include "bine/reactors/reactor_names.h"

int main(int argc, char** argv) try {
    const char* name = argc > 1 ? argv[1] : "default";
    const std::unique_ptr<bine::ReactorBase> reactor = bine::reactorByName(name);
    reactor->callWhenRunning([&] { reactor->stop(); });
    reactor->run();
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
