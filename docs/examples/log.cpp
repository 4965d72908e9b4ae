// The example of docs/log.md: a program that says what it does, keeps its own copy, and labels work done for a client.

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "bine/log/format.h"
#include "bine/log/log.h"

namespace {

const bine::Logger logger("till");

class Client {
public:
    explicit Client(int number) : number_(number) {}

    void pay(int cents) {
        const bine::LogScope scope(&Client::prefix, this); // the text is made only if something is logged
        if (cents <= 0) {
            logger.warn("refused", {{"cents", cents}, {"reason", "not an amount"}});
            return;
        }
        try {
            charge(cents);
            logger.info("paid", {{"cents", cents}});
        } catch (...) {
            logger.failure(std::current_exception(), "cannot charge", bine::LogLevel::error);
        }
    }

private:
    static bine::LogContext prefix(void* client) {
        return bine::LogContext("Client," + std::to_string(static_cast<Client*>(client)->number_));
    }
    void charge(int cents) {
        if (cents > 100'000)
            throw std::range_error("more than the till holds");
    }

    int number_;
};

} // namespace

int main() {
    // Hears warnings and worse, beside stderr, until it goes out of scope.
    int warnings = 0;
    const bine::LogSubscription counting =
        bine::addLogObserver([&](const bine::LogEvent&) { ++warnings; }, bine::LogLevel::warn);

    // Takes the place of stderr, as a host's log would.
    const bine::LogSubscription output = bine::setDefaultLogObserver(
        [](const bine::LogEvent& event) { std::puts(bine::formatLogEvent(event).c_str()); });

    Client client(7);
    client.pay(1250);
    client.pay(-1);
    client.pay(200'000);

    if (logger.enabled(bine::LogLevel::debug)) // arguments that are dear to make
        logger.debug("balance", {{"book", std::string(1000, '.')}});
    return warnings == 2 ? 0 : 1;
}
