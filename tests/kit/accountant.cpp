#include "kit/accountant.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

namespace bine::kit {
namespace {

std::vector<std::string> namesIn(const char* folder, int* own = nullptr) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(folder), &closedir);
    if (!directory)
        return names;
    if (own)
        *own = dirfd(directory.get());
    while (const dirent* entry = readdir(directory.get()))
        if (entry->d_name[0] != '.')
            names.emplace_back(entry->d_name);
    return names;
}

template <class Key>
std::string compare(const char* what, const std::map<Key, std::string>& before,
                    const std::map<Key, std::string>& after) {
    std::string text;
    const auto tell = [&](const char* how, const auto& from, const auto& against) {
        for (const auto& [key, name] : from) {
            const auto found = against.find(key);
            if (found == against.end() || found->second != name)
                text += std::string("; ") + how + " " + what + " " + name;
        }
    };
    tell("left:", after, before);
    tell("gone:", before, after);
    return text;
}

std::string withoutSeparator(const std::string& text) { return text.empty() ? text : text.substr(2); }

} // namespace

Belongings Belongings::now() {
    Belongings all;
    int own = -1;
    for (const std::string& name : namesIn("/proc/self/fd", &own)) {
        const int fd = std::atoi(name.c_str());
        if (fd == own)
            continue;
        char target[256];
        const ssize_t length = readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target);
        if (length > 0)
            all.descriptors_[fd] = name + " (" + std::string(target, static_cast<std::size_t>(length)) + ")";
    }
    for (const std::string& id : namesIn("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream("/proc/self/task/" + id + "/comm") >> std::ws, name);
        all.threads_[id] = id + " (" + name + ")";
    }
    return all;
}

std::string Belongings::differences(const Belongings& later) const {
    return withoutSeparator(compare("descriptor", descriptors_, later.descriptors_) +
                            compare("thread", threads_, later.threads_));
}

Duration cpuTimeOfThread() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::string differences(const HostObjects& before, const HostObjects& after) {
    std::string text;
    std::vector<std::string> found;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(found));
    for (const std::string& object : found)
        text += "; left: " + object;
    found.clear();
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(found));
    for (const std::string& object : found)
        text += "; gone: " + object;
    return withoutSeparator(text);
}

std::string settle(const std::function<std::string()>& differences) {
    const auto limit = std::chrono::steady_clock::now() + safetyLimit();
    for (;;) {
        std::string text = differences();
        if (text.empty() || std::chrono::steady_clock::now() >= limit)
            return text;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

} // namespace bine::kit
