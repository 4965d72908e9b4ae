#pragma once
// Service and MultiService: what a program consists of, as a tree that is started and stopped as one
// (IService, IServiceCollection).
//
// Reactor's thread only. A parent keeps those of its children that are in a std::shared_ptr. One that is
// somebody's member, or on the stack, it does not keep: that leaves its parent as it is destroyed. Destroying
// a service ends it at once, without stopService(); what is to end in order is stopped and waited for.
// startApplication() (start_application.h) binds the root of a tree to a reactor. Cost: one allocation beside the object.

#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class MultiService;
class Service;

namespace detail {
class ServiceState;
/// Throws std::invalid_argument, with the name of the call, if there is none.
BINE_EXPORT Service& serviceAt(Service* service, const char* call);
} // namespace detail

/// Derive from it, and override what there is to do. In a tree privilegedStartService() always comes before
/// startService(), and stopService() ends what either has begun; then it may begin anew.
class BINE_EXPORT Service : public std::enable_shared_from_this<Service> {
public:
    Service();
    /// Leaves its parent. Whoever waits for its end need not wait any longer.
    virtual ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    // --- To be overridden. Inside them everything is allowed: to leave the tree, to stop others or oneself, to
    // be destroyed.

    /// What has to be done before a program gives up its rights: binding ports below 1024. What it throws is
    /// the failure of the start.
    virtual void privilegedStartService();
    /// What it throws is the failure of the start; stopService() is then called for what
    /// privilegedStartService() has done.
    virtual void startService();
    /// Fires when the service has ended; the program waits for it, but not longer than the reactor's shutdown
    /// deadline. May be a coroutine, whose service is kept by its parent until it has ended.
    virtual Deferred<> stopService();

    // --- The tree.

    /// What getServiceNamed() finds it by, and what the log calls it; empty unless set.
    const std::string& name() const noexcept { return name_; }
    /// Throws std::logic_error if it has a parent.
    void setName(std::string name);
    /// Null if it has none.
    MultiService* parent() const noexcept;
    /// From the beginning of startService() to the beginning of stopService().
    bool running() const noexcept;

    /// Becomes the parent's last child; one that had another parent leaves that first, as by
    /// disownServiceParent(). If the parent runs it is started now: what that throws is thrown here, and then
    /// it has no parent. Throws std::invalid_argument if the parent has a child of that name, or descends from
    /// this; std::logic_error if the parent runs and this has not stopped yet. Not for constructors.
    void setServiceParent(MultiService& parent);
    /// The same of a std::shared_ptr. Throws std::invalid_argument if it is null.
    template <class S>
        requires std::is_convertible_v<S*, MultiService*>
    void setServiceParent(const std::shared_ptr<S>& parent) {
        detail::serviceAt(parent.get(), "setServiceParent");
        setServiceParent(*parent);
    }
    /// Leaves the parent now, and is stopped if it runs. Fires when it has stopped, until when the parent keeps
    /// what it has kept; fails with what stopService() failed with. Without a parent nothing is left or stopped.
    Deferred<> disownServiceParent(std::source_location where = std::source_location::current());

private:
    friend class MultiService;
    friend class detail::ServiceState;

    std::string name_;
    std::shared_ptr<detail::ServiceState> state_;
};

/// A service that consists of others.
class BINE_EXPORT MultiService : public Service {
public:
    MultiService();
    /// Lets its children go, the youngest first, and stops none of them: those that nobody else keeps are
    /// destroyed.
    ~MultiService() override;

    /// Its children's, in the order in which they came; those that are running are left out. If one throws, all
    /// of them are stopped again, and the exception goes on.
    void privilegedStartService() override;
    /// The same. A child that comes meanwhile starts at once.
    void startService() override;
    /// Its children's, in reverse order; none waits for another. Fires when all have stopped, also those that
    /// left while they were stopping. A failure is logged with the child's name, and takes nothing from the
    /// others. Cancelling it ends the waiting and nothing else.
    Deferred<> stopService() override;

    /// Throws std::out_of_range, whose text lists the names that there are.
    Service& getServiceNamed(std::string_view name) const;
    /// Its children now, in the order in which they came.
    std::vector<Service*> services() const;

private:
    friend class Service;

    struct Child {
        std::shared_ptr<detail::ServiceState> state;
        std::shared_ptr<Service> kept; // null: it lives elsewhere
    };

    void checkMayAdd(const Service& child) const;
    void add(Service& child);
    Deferred<> letGo(const std::shared_ptr<detail::ServiceState>& child, std::source_location where);
    void forget(const detail::ServiceState& child) noexcept;
    void hasStopped(const detail::ServiceState& child);
    template <class Step>
    void forEachChild(Step step);

    std::vector<Child> children_;
    std::vector<Child> leaving_; // children no more, but they have not stopped yet
};

} // namespace bine::inline v0
