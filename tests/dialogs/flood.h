#pragma once
// Flood: connections that always have something to read, and what serving them took, in callbacks and by the reactor's clock. Loop's thread.

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "dialogs/scene.h"

namespace dialogs {

/// Each handler refills its own socket and burns CPU time.
class Flood {
public:
    Flood(Scene& scene, int connections, std::chrono::nanoseconds work) : scene_(scene), work_(work) {
        for (int i = 0; i < connections; ++i)
            lines_.push_back(scene.line());
        served_.assign(lines_.size(), 0);
        longestGap_.assign(lines_.size(), 0);
    }
    ~Flood() {
        for (auto& line : lines_)
            line.talker->onData = nullptr;
    }
    Flood(const Flood&) = delete;
    Flood& operator=(const Flood&) = delete;

    void begin() {
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            lines_[i].talker->onData = [this, i](Talker&, std::string_view) { serve(i); };
            lines_[i].peer->send("x");
        }
    }
    std::size_t callbacks() const { return callbacks_; }
    std::size_t size() const { return lines_.size(); }
    /// The most callbacks that passed between two of the same connection, the time since its last one counted too.
    std::size_t longestGap() const {
        std::size_t longest = 0;
        for (std::size_t i = 0; i < lines_.size(); ++i)
            longest = std::max({longest, longestGap_[i], callbacks_ - served_[i]});
        return longest;
    }
    std::size_t mostInATurn() const { return mostInATurn_; }
    /// The most that a turn had taken, from its first callback on, when yet another one came: less than its budget, always, on any machine. Whatever stops this
    /// thread meanwhile, the reactor's clock shows it to the reactor too.
    std::chrono::nanoseconds longestBeforeAnother() const { return longestBeforeAnother_; }
    std::function<void()> inCallback;

private:
    void serve(std::size_t i) {
        const std::uint64_t turn = scene_.reactor().stats().turns;
        if (turn != turn_) {
            turn_ = turn;
            turnBegan_ = scene_.reactor().now();
            inTurn_ = 0;
        } else {
            longestBeforeAnother_ = std::max(longestBeforeAnother_, tookSoFar_);
        }
        mostInATurn_ = std::max(mostInATurn_, ++inTurn_);
        ++callbacks_;
        longestGap_[i] = std::max(longestGap_[i], callbacks_ - served_[i]);
        served_[i] = callbacks_;
        if (inCallback)
            inCallback();
        lines_[i].talker->data.clear();
        lines_[i].peer->send("x");
        burn(work_);
        tookSoFar_ = scene_.reactor().now() - turnBegan_;
    }

    Scene& scene_;
    std::chrono::nanoseconds work_;
    std::vector<Scene::Line> lines_;
    std::vector<std::size_t> served_, longestGap_;
    std::size_t callbacks_ = 0;
    std::uint64_t turn_ = 0;
    std::size_t inTurn_ = 0;
    std::size_t mostInATurn_ = 0;
    bine::TimePoint turnBegan_;
    std::chrono::nanoseconds tookSoFar_{}, longestBeforeAnother_{};
};

} // namespace dialogs
