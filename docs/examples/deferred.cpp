// The examples of docs/deferred.md.

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/trace.h"
#include "bine/defer/unhandled.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

class Dice {
public:
    bine::Deferred<int> roll() { return waiting_.emplace_back().deferred(); }
    void settle(int eyes) {
        for (auto& resolver : std::exchange(waiting_, {})) resolver.callback(eyes);
    }

private:
    std::vector<bine::Resolver<int>> waiting_;
};

static bine::Deferred<std::string> nameOf(int eyes) {
    if (eyes > 6) return bine::fail<std::string>(std::out_of_range("a die has six sides"));
    return bine::succeed(std::to_string(eyes));
}

static void chains(Dice& dice) {
    dice.roll()
        .addCallback([](int eyes) { return eyes * 2; })                    // a Deferred<int> still
        .addCallback([](int twice) { return nameOf(twice); })              // waited for: a Deferred<std::string>
        .addCallback([](std::string name) { std::puts(name.c_str()); })    // a Deferred<>
        .addErrback([](const bine::Failure& failure) {
            failure.trap<std::out_of_range>();                             // any other failure goes on
            std::puts("too many");
        });
}

static void bothSides(Dice& dice) {
    auto roll = dice.roll();
    roll.addCallbacks([](int eyes) { return eyes; },                       // one level: the errback does not see
                      [](const bine::Failure&) { return 0; });             // what the callback throws
    roll.addBoth([](bine::Result<int> result) {                            // either, and as the last word
        std::printf("%d\n", result.isValue() ? *result : -1);
        return result;
    });
}

static void ends(Dice& dice) {
    dice.roll().ignoreFailures();                                          // drops value and failure
    dice.roll().logFailures("Cannot roll the dice");                       // logs a failure as an error, with this place
}

class Question {
public:
    bine::Deferred<int> ask() {
        answer_ = bine::Resolver<int>();                               // a new one; an older question is abandoned
        return answer_.deferred();
    }
    void answer(int value) {
        if (answer_) std::exchange(answer_, nullptr).callback(value);
    }

private:
    bine::Resolver<int> answer_ = nullptr;                             // empty
};

// A search that knows how to stop.
class Search {
public:
    bine::Deferred<int> begin() {
        bine::Resolver<int> resolver([this] { ++stopped_; });
        auto found = resolver.deferred();
        resolver_ = std::move(resolver);
        return found;
    }
    int stopped() const { return stopped_; }

private:
    bine::Resolver<int> resolver_ = nullptr;
    int stopped_ = 0;
};

static void cancelling(bine::Clock& clock) {
    Search search;
    bine::Deferred<int> found = search.begin();
    found.addErrback([](const bine::Failure& failure) {
        failure.trap<bine::CancelledError>();
        return -1;
    });
    found.cancel();            // the canceller runs, then the errback

    search.begin()
        .addTimeout(5s, clock) // after five seconds it is cancelled, and that is a TimeoutError
        .addErrback([](const bine::Failure& failure) {
            std::puts(failure.userMessage().c_str());
            return -1;
        });
}

static void pausing(Dice& dice) {
    auto roll = dice.roll();
    const bine::Hold hold = roll.hold();                                   // callbacks wait as long as it lives
    roll.addCallback([](int eyes) { return eyes; });
}

static void looking(Dice& dice) {
    const auto roll = dice.roll();
    std::fputs(bine::trace::dump().c_str(), stdout);                       // what waits for whom
    bine::warnOfUnhandledErrors(100);                                      // of failures that stay for 100 turns
}

int main() {
    bine::EpollReactor reactor;
    Dice dice;
    chains(dice);
    bothSides(dice);
    ends(dice);
    pausing(dice);
    looking(dice);
    cancelling(reactor);
    dice.settle(5);
    Question question;
    question.ask().addCallback([](int value) { std::printf("%d\n", value); });
    question.answer(42);
    reactor.callLater(0s, [&] { reactor.stop(); });
    reactor.run();
}
