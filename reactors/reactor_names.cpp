#include "bine/reactors/reactor_names.h"

#include <map>
#include <mutex>
#include <stdexcept>

#include "bine/reactors/native_reactors.h"

namespace bine::inline v0 {
namespace {

template <class T>
std::unique_ptr<ReactorBase> make() {
    return std::make_unique<T>();
}

struct Names {
    std::mutex mutex;
    std::map<std::string, ReactorMaker, std::less<>> makers{
        {"default", &make<EpollReactor>},
        {"epoll", &make<EpollReactor>},
        {"poll", &make<PollReactor>},
        {"select", &make<SelectReactor>},
    };
};

Names& names() {
    static auto* names = new Names;
    return *names;
}

ReactorMaker find(std::string_view name) {
    const std::lock_guard lock(names().mutex);
    const auto found = names().makers.find(name);
    return found == names().makers.end() ? nullptr : found->second;
}

}  // namespace

std::unique_ptr<ReactorBase> reactorByName(std::string_view name) {
    if (const ReactorMaker maker = find(name)) return maker();
    std::string text = "there is no reactor called '" + std::string(name) + "', but:";
    for (const std::string& known : reactorNames()) text += " " + known;
    throw std::invalid_argument(text);
}

std::vector<std::string> reactorNames() {
    const std::lock_guard lock(names().mutex);
    std::vector<std::string> all;
    for (const auto& [name, maker] : names().makers) all.push_back(name);
    return all;
}

void registerReactor(std::string_view name, ReactorMaker maker) {
    if (name.empty() || !maker) throw std::invalid_argument("registerReactor: a name and a maker are needed");
    const std::lock_guard lock(names().mutex);
    names().makers.insert_or_assign(std::string(name), maker);
}

}  // namespace bine::inline v0
