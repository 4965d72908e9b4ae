// The examples of docs/owners.md.

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"
#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

static bine::Deferred<std::string> lookUp(bine::Clock& clock, std::string name) {
    bine::Resolver<std::string> resolver([] { std::puts("the question is taken back"); });
    auto answer = resolver.deferred();
    auto held = std::make_shared<bine::Resolver<std::string>>(std::move(resolver));
    clock.callLater(1s, [held, name] {
        if (!held->called()) held->callback(name + " is at home");
    });
    return answer;
}

class Card {
public:
    explicit Card(bine::Clock& clock) : clock_(clock) {}

    void ask(std::string name) {
        lookUp(clock_, std::move(name)).ownedBy(scope_).addCallback([this](std::string answer) { show(answer); });
    }
    void askAnother(std::string name) {
        scope_.cancel();                                       // what is under way is of no use any more
        ask(std::move(name));
    }
    bine::Deferred<> blink(int times) {
        for (; times > 0; --times) {
            show("*");
            co_await pause();
            show("");
            co_await pause();
        }
    }
    void begin() { blink(3).ownedBy(scope_); }

private:
    void show(const std::string& text) { text_ = text; }
    bine::Deferred<> pause() {
        bine::Resolver<> resolver;
        auto over = resolver.deferred();
        auto held = std::make_shared<bine::Resolver<>>(std::move(resolver));
        clock_.callLater(500ms, [held] { held->callback(); });
        return over;
    }

    bine::Clock& clock_;
    std::string text_;
    bine::Scope scope_;                                        // last: it dies first
};

// A class that can own by itself.
class Document {
public:
    void open(bine::Clock& clock) {
        clock.callLater(1min, [this] { save(); }).ownedBy(this);
    }

private:
    friend struct bine::OwnerTraits<Document>;
    void save() { std::puts("saved"); }
    bine::detail::OwnerHook hook_;
};

template <>
struct bine::OwnerTraits<Document> {
    static bine::detail::OwnerHook& hook(Document& document) { return document.hook_; }
};

int main() {
    bine::EpollReactor reactor;
    auto card = std::make_unique<Card>(reactor);
    card->ask("alice");
    card->askAnother("bob");
    card->begin();
    Document document;
    document.open(reactor);
    reactor.callLater(10ms, [&] { card.reset(); });
    reactor.callLater(20ms, [&] { reactor.stop(); });
    reactor.run();
}
