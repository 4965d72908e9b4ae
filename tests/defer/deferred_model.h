#pragma once
// The reference model: what the contract (docs/contract.md) says of Deferreds, Resolvers, owners and coroutines, in the plainest form.
//
// It knows nothing of the engine and shares no code with it. Whatever waits recurses, whatever is known is searched for; programs are short. A rule's number
// stands where the rule is kept.
//
// Where the contract is silent, a header or a test that says more is followed: what an owner has ends the youngest first (owner.h); what a callback returned
// keeps the callback until it is fired; what a coroutine awaits as an lvalue dies with it, as if it had been given away, if the coroutine has it as a variable,
// else it goes on and keeps its result (coroutine.h); an int that an await takes cannot be had again, which is a logic_error.
//
// What nothing says anything about is
// - not looked at: when, within an operation of the outermost level, a capture is released; describe() inside callbacks; warnings; whether what died with its
//   owner, or has given up its result, says so;
// - not done by programs: captures whose destructors do things; letting go of a paused Deferred before it is unpaused, or pausing one by reference that nobody
//   waits for;
// - or told to the log, which counts no further then (Log::silence): a fired and paused Deferred that only a reference could wake up.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "defer/deferred_interpreter.h"
#include "defer/deferred_program.h"

namespace algebra {

namespace model {

class Chain;
using ChainPointer = std::shared_ptr<Chain>;

class Handle {
public:
    Handle(ChainPointer chain, Type type);
    Handle(Handle&& other) = default;
    Handle& operator=(Handle&& other) {
        std::swap(chain, other.chain);
        std::swap(type, other.type);
        return *this;
    }
    ~Handle();

    ChainPointer chain;
    Type type;
};

class Resolver {
public:
    Resolver(ChainPointer chain, Type type) : chain(std::move(chain)), type(type) {}
    Resolver(Resolver&& other) = default;
    Resolver& operator=(Resolver&& other) {
        std::swap(chain, other.chain);
        std::swap(type, other.type);
        return *this;
    }
    ~Resolver();

    ChainPointer chain;
    Type type;
};

/// What a canceller is called with.
class View {
public:
    explicit View(Chain& chain) : chain_(chain) {}
    void fire(Answer answer);

private:
    Chain& chain_;
};

/// A coroutine, between its awaits.
class Frame {
public:
    virtual ~Frame() = default;
    virtual bool goOn() = 0;
    virtual Handle& awaited() = 0;
    virtual Awaits awaits() const = 0;
    virtual void resume(const Answer& got) = 0;
    virtual Returned<Handle> end() = 0;
};

using Function = std::function<Returned<Handle>(const Answer&)>;
using Canceller = std::function<void(View)>;

/// What one addX adds: functions for both sides, or one of them, or somebody to give the result to.
struct Level {
    Function onValue;
    Function onFailure;
    ChainPointer waiter;  // what returned this Deferred, or awaits it
    bool awaits = false;  // the waiter is, or was, a coroutine that awaits the lvalue
    std::shared_ptr<Resolver> target;
};

/// A Deferred with all its levels.
class Chain : public std::enable_shared_from_this<Chain> {
public:
    explicit Chain(Log& log) : log_(log) {}
    ~Chain();

    // --- The ends.

    void setCanceller(Canceller canceller) { canceller_ = std::move(canceller); }
    void begin(std::unique_ptr<Frame> frame);  // it is a coroutine
    void fire(Answer answer);
    void abandon();
    void dropHandle();
    void add(Level level);
    void cancel();
    void pause() { ++pauses_; }
    void unpause();
    std::string state() const;
    bool called() const { return called_; }

    // --- For owners.

    /// From here inwards nothing runs any more.
    void die();
    /// Ends what is dead, from the innermost outwards.
    void end();

    bool hasHandle = false;

private:
    void becomeCalled();
    void run();
    void runFunction(Level level, const Function& function);
    void forward(const Level& level);
    void handOver(const Level& level);
    void goOnWith(Handle inner);
    void goOnWith(Answer answer);
    void waitFor(const ChainPointer& inner, Awaits how);
    void runFrame();
    bool awaitWithoutWaiting();
    void bodyEnds();
    void stopOperation();
    void callCanceller();
    void reportIfOver();

    void endOutwards();
    void finish();
    std::vector<ChainPointer> waiters() const;

    bool isFinal() const;
    bool isOrWaitsFor(const Chain& other) const;
    Answer takeAnswer();

    Log& log_;
    bool called_ = false;
    bool swallows_ = false;  // one firing after a cancel
    bool running_ = false;   // something of it is on the stack: it has no result meanwhile
    bool taken_ = false;     // its int was, or will be, by an await of the lvalue
    bool dead_ = false;      // its owner is, or that of what waits for it
    bool ended_ = false;     // and it was dealt with
    int pauses_ = 0;
    std::optional<Answer> answer_;
    std::deque<Level> levels_;
    Level returning_;  // whose function returned what is waited for, until that is fired
    Canceller canceller_;
    bool cancelling_ = false;
    bool firedByCanceller_ = false;
    std::unique_ptr<Frame> frame_;
    bool cancelsNextAwait_ = false;
    ChainPointer inner_;  // what it waits for
    bool byReference_ = false;  // and somebody else has that
};

class Scope {
public:
    Scope() = default;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { cancel(); }

    void own(ChainPointer chain) { lists_->owned.push_front(std::move(chain)); }
    void cancel();

private:
    struct Lists {
        std::deque<std::weak_ptr<Chain>> owned;  // the youngest first
        std::deque<std::weak_ptr<Chain>> dying;
    };
    std::shared_ptr<Lists> lists_ = std::make_shared<Lists>();  // the scope may die in its own cancel()
};

}  // namespace model

/// The algebra of the model.
class Model {
public:
    using Handle = model::Handle;
    using Resolver = model::Resolver;
    using Ref = std::weak_ptr<model::Chain>;
    using Scope = model::Scope;
    using Frame = model::Frame;
    struct Thrown {
        std::string name;
    };

    explicit Model(Log& log) : log_(log) {}

    template <class C>
    std::pair<Resolver, Handle> make(Type type, std::shared_ptr<C> canceller) {
        const auto chain = std::make_shared<model::Chain>(log_);
        if (canceller) chain->setCanceller([canceller](model::View view) { (*canceller)(view); });
        return {Resolver(chain, type), Handle(chain, type)};
    }
    Handle done(Answer answer, Type type) {
        const auto chain = std::make_shared<model::Chain>(log_);
        Handle handle(chain, type);
        chain->fire(std::move(answer));
        return handle;
    }
    template <class Call>
    void add(Handle& handle, Does does, std::vector<std::shared_ptr<Call>> calls) {
        model::Level level;
        if (does != Does::addErrback) level.onValue = functionOf(calls.front());
        if (does != Does::addCallback) level.onFailure = functionOf(calls.back());
        calls.clear();
        // Its handle may die of what runs now.
        const auto chain = handle.chain;
        chain->add(std::move(level));
    }
    template <class Call>
    Handle add(Handle&& handle, Does does, std::vector<std::shared_ptr<Call>> calls, Type to) {
        add(handle, does, std::move(calls));
        handle.type = to;
        return std::move(handle);
    }
    Handle chain(Handle&& handle, Resolver&& target) {
        model::Level level;
        level.target = std::make_shared<Resolver>(std::move(target));
        handle.chain->add(std::move(level));
        handle.type = Type::nothing;
        return std::move(handle);
    }
    Handle coroutine(Type type, std::unique_ptr<Frame> frame) {
        Handle handle(std::make_shared<model::Chain>(log_), type);
        handle.chain->begin(std::move(frame));
        return handle;
    }

    void fire(Resolver& resolver, Answer answer, int) {
        const auto chain = resolver.chain;
        chain->fire(std::move(answer));
    }
    bool called(const Resolver& resolver) const { return resolver.chain->called(); }
    template <class Of>
    void cancel(Of& of) {
        if (const auto chain = chainOf(of)) chain->cancel();
    }
    template <class Of>
    void pause(Of& of) {
        if (const auto chain = chainOf(of)) chain->pause();
    }
    template <class Of>
    void unpause(Of& of) {
        if (const auto chain = chainOf(of)) chain->unpause();
    }
    void own(Handle& handle, Scope& scope) { scope.own(handle.chain); }
    Ref ref(Handle& handle) { return handle.chain; }
    template <class Of>
    Type type(const Of& of) const {
        return of.type;
    }
    std::string state(const Handle& handle) const { return handle.chain->state(); }

    [[noreturn]] static void raise(Answer answer) { throw Thrown{answer.failure}; }
    static std::string thrown();

private:
    static model::ChainPointer chainOf(const Handle& handle) { return handle.chain; }
    static model::ChainPointer chainOf(const Ref& ref) { return ref.lock(); }
    template <class Call>
    static model::Function functionOf(const std::shared_ptr<Call>& call) {
        return [call](const Answer& got) { return (*call)(got); };
    }

    Log& log_;
};

}  // namespace algebra
