#include "bine/net/protocol.h"

#include <cxxabi.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "bine/net/answer.h"
#include "bine/net/factory.h"

namespace bine::inline v0 {

static thread_local const Failure* theLoss = nullptr;

namespace detail {

const Failure* currentLoss() noexcept { return theLoss; }

std::string className(const std::type_info& type) {
    int status = 0;
    char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    std::string name = status == 0 && text ? text : type.name();
    std::free(text);
    // The last component outside of template arguments and of the argument lists of local classes.
    int nested = 0;
    std::size_t begin = 0;
    std::size_t end = name.size();
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '<' || name[i] == '(') {
            if (nested++ == 0)
                end = i;
        } else if (name[i] == '>' || name[i] == ')') {
            --nested;
        } else if (nested == 0 && name[i] == ':') {
            begin = i + 1;
            end = name.size();
        }
    }
    return end > begin ? name.substr(begin, end - begin) : name;
}

} // namespace detail

Protocol::Protocol() = default;

Protocol::~Protocol() = default;

void Protocol::makeConnection(const std::shared_ptr<Transport>& transport) {
    if (!transport)
        throw std::invalid_argument("makeConnection: there is no transport");
    transport->attachProtocol(transport, shared_from_this());
}

void Protocol::dataReceived(std::string_view) {}
void Protocol::connectionLost(const Failure&) {}
std::string Protocol::logPrefix() const { return detail::className(typeid(*this)); }

detail::OwnerHook& Protocol::ownerHook() {
    if (!hook_)
        hook_ = std::make_unique<detail::OwnerHook>(detail::OwnerHook::Kind::protocol);
    return *hook_;
}

void Protocol::endScope(const Failure* loss) {
    if (!hook_)
        return;
    struct Restore {
        const Failure* outer;
        ~Restore() { theLoss = outer; }
    } const restore{std::exchange(theLoss, loss)};
    hook_->die();
}

} // namespace bine::inline v0
