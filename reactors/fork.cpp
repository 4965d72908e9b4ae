#include "bine/reactors/fork.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

namespace bine::inline v0::detail {
namespace {

std::atomic<unsigned> generation{0};

}  // namespace

/// All that are registered. The mutex is held during a fork(), so the child finds the list whole.
struct ForkHandlers {
    std::mutex mutex;
    AtFork* first = nullptr;

    ForkHandlers() { pthread_atfork(&before, &inParent, &inChild); }

    static ForkHandlers& all() {
        static auto* handlers = new ForkHandlers;  // others fork and unregister in their destructors
        return *handlers;
    }
    void callEach(void (*AtFork::Functions::*which)(void*)) {
        for (AtFork* each = first; each; each = each->next_)
            if (const auto function = each->functions_.*which) function(each->object_);
    }
    static void before() {
        all().mutex.lock();
        all().callEach(&AtFork::Functions::before);
    }
    static void inParent() {
        all().callEach(&AtFork::Functions::inParent);
        all().mutex.unlock();
    }
    static void inChild() {
        generation.fetch_add(1, std::memory_order_relaxed);
        all().callEach(&AtFork::Functions::inChild);
        all().mutex.unlock();
    }
};

unsigned forkGeneration() noexcept {
    static ForkHandlers& counts = ForkHandlers::all();
    static_cast<void>(counts);
    return generation.load(std::memory_order_relaxed);
}

void keepForever(std::shared_ptr<void> inherited) {
    static auto* kept = new std::vector<std::shared_ptr<void>>;
    kept->push_back(std::move(inherited));
}

AtFork::AtFork(void* object, const Functions& functions) : object_(object), functions_(functions) {
    ForkHandlers& all = ForkHandlers::all();
    const std::lock_guard lock(all.mutex);
    next_ = std::exchange(all.first, this);
    if (next_) next_->previous_ = this;
}

AtFork::~AtFork() {
    ForkHandlers& all = ForkHandlers::all();
    const std::lock_guard lock(all.mutex);
    (previous_ ? previous_->next_ : all.first) = next_;
    if (next_) next_->previous_ = previous_;
}

}  // namespace bine::inline v0::detail
