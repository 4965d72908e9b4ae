#include "bine/defer/retry.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "bine/defer/errors.h"

namespace bine::inline v0 {

Duration RetryPolicy::checked(Delay pause) {
    if (pause.value() < Duration::zero()) throw std::invalid_argument("RetryPolicy: a pause is not negative");
    return pause.value();
}

RetryPolicy& RetryPolicy::factor(double factor) {
    if (!(factor >= 1)) throw std::invalid_argument("RetryPolicy: the factor is at least 1");
    factor_ = factor;
    return *this;
}

RetryPolicy& RetryPolicy::jitter(double part) {
    if (!(part >= 0 && part <= 1)) throw std::invalid_argument("RetryPolicy: the jitter is between 0 and 1");
    jitter_ = part;
    return *this;
}

bool RetryPolicy::goesOn(std::uint64_t failed, const Failure& failure) const {
    if (failed >= attempts_) return false;
    return when_ ? when_(failure) : !failure.check<CancelledError>();
}

Duration RetryPolicy::pauseAfter(std::uint64_t failed) const {
    static thread_local std::minstd_rand random(std::random_device{}());
    const double steps = static_cast<double>((std::min)(failed, std::uint64_t{10'000}) - 1);
    const double pause = (std::min)(static_cast<double>(initial_.count()) * std::pow(factor_, steps), static_cast<double>(maximum_.count()));
    const double part = std::uniform_real_distribution<double>(1 - jitter_, 1 + jitter_)(random);
    return (std::min)(Duration(std::llround((std::min)(pause * part, 9e18))), maximum_);
}

}  // namespace bine::inline v0
