#pragma once
// What the tests of this floor share.

#include <QtTest/QtTest>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/log/recorder.h"

/// Both ends of a new Deferred.
template <class T>
struct Pair {
    bine::Resolver<T> resolver;
    bine::Deferred<T> deferred = resolver.deferred();
};

/// Fails a test that leaves an error in the log; each class of tests checks it after each function.
class NothingLogged {
public:
    void check() {
        const auto events = recorder_.flush();
        for (const auto& event : events) QFAIL(("left in the log: " + event.message + ": " + event.detail).c_str());
    }
    bine::LogRecorder& recorder() { return recorder_; }

private:
    bine::LogRecorder recorder_;
};

inline std::runtime_error oops(const char* text = "oops") { return std::runtime_error(text); }

/// What became of a Deferred, as a word. A failure is taken off it.
template <class T>
std::string outcome(bine::Deferred<T>& deferred) {
    const auto word = std::make_shared<std::string>("nothing yet");
    deferred.addBoth([word](bine::Result<T> result) -> bine::Result<T> {
        *word = result.isValue() ? "fired" : result.failure().typeName();
        if (result.isValue()) return result;
        if constexpr (std::is_void_v<T>)
            return {};
        else
            return T();
    });
    return *word;
}
