#pragma once
// Accountant: what the process holds now, and what it holds more or less than then. Any thread; reads
// /proc/self.

#include <functional>
#include <map>
#include <set>
#include <string>

#include "kit/reactor_host.h"

namespace bine::kit {

/// What is to be the same again when a test is over.
class Belongings {
public:
    /// Of the process, now.
    static Belongings now();

    /// Empty if nothing has changed; else a text that names what was left open or is missing.
    std::string differences(const Belongings& later) const;

    std::size_t descriptors() const { return descriptors_.size(); }
    std::size_t threads() const { return threads_.size(); }

private:
    std::map<int, std::string> descriptors_;     // number, what it is
    std::map<std::string, std::string> threads_; // id, name
};

/// What this thread has used of the processor.
Duration cpuTimeOfThread();

/// Empty if they are the same.
std::string differences(const HostObjects& before, const HostObjects& after);

/// Asks again and again, until the text is empty or the safety limit has passed: threads take a moment to
/// end. Returns the last text.
std::string settle(const std::function<std::string()>& differences);

} // namespace bine::kit
