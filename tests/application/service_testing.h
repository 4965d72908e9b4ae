#pragma once
// What the tests of this floor share: a service that writes down what happens to it.

#include "defer/defer_testing.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bine/application/service.h"

/// Says "p:name", "+name" and "-name", and does what the test says.
class Told final : public bine::Service {
public:
    /// With a parent only where nobody keeps it.
    Told(std::string& story, const std::string& name, bine::MultiService* parent = nullptr) : story_(story) {
        setName(name);
        if (parent)
            setServiceParent(*parent);
    }
    ~Told() override {
        if (onDestroyed)
            onDestroyed();
    }
    std::function<void()> onPrepare, onStart, onStop, onDestroyed;
    std::optional<bine::Resolver<>> slow; // if set, the end waits for it

    void privilegedStartService() override { say("p:", onPrepare); }
    void startService() override { say("+", onStart); }
    bine::Deferred<> stopService() override {
        say("-", onStop);
        return slow ? slow->deferred() : bine::succeed();
    }

private:
    void say(const char* what, const std::function<void()>& doing) {
        story_ += (story_.empty() ? "" : " ") + (what + name());
        if (const auto call = doing) // may destroy this
            call();
    }
    std::string& story_;
};

inline std::shared_ptr<Told> child(std::string& story, const std::string& name, bine::MultiService& parent) {
    auto made = std::make_shared<Told>(story, name);
    made->setServiceParent(parent);
    return made;
}
