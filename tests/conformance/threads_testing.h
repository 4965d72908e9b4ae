#pragma once
// What the tests of threads share.

#include <stdexcept>
#include <thread>
#include <utility>

/// Notes on which thread it died.
class Probe {
public:
    explicit Probe(std::thread::id& died) : died_(&died) {}
    Probe(Probe&& other) noexcept : died_(std::exchange(other.died_, nullptr)) {}
    ~Probe() {
        if (died_)
            *died_ = std::this_thread::get_id();
    }

private:
    std::thread::id* died_;
};

class NoLuck : public std::runtime_error {
public:
    explicit NoLuck(int code) : std::runtime_error("no luck"), code(code) {}
    int code;
};
