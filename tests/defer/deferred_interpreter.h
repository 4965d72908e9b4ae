#pragma once
// Interpreter: runs a Program (deferred_program.h) on an algebra of Deferreds, the reference model or the engine, and writes down what is seen.
//
// All that a program does as a user is here, once: the places, the functions, cancellers and coroutines. So what differs between two logs comes from the
// algebras. An algebra A has types Handle, Resolver, Canceller's View, Ref, Scope and Frame, and what Interpreter calls of it; see deferred_model.h.
//
// What was released is looked at when an operation of the outermost level is over: at which moment before that a capture goes is not promised.

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "defer/deferred_program.h"

namespace algebra {

/// What was seen, a line for each event.
class Log {
public:
    void line(const std::string& text) { lines_.push_back(std::string(indent_ * 2, ' ') + text); }
    void inside() { ++indent_; }
    void outside() { --indent_; }
    /// From here on the contract does not say what is seen.
    void silence(const std::string& why) {
        if (silence_.empty()) {
            silence_ = why;
            silentFrom_ = lines_.size();
        }
    }
    const std::vector<std::string>& lines() const { return lines_; }
    const std::string& silence() const { return silence_; }
    /// How many lines count.
    std::size_t size() const { return silence_.empty() ? lines_.size() : silentFrom_; }

private:
    std::vector<std::string> lines_;
    std::size_t indent_ = 0;
    std::string silence_;
    std::size_t silentFrom_ = 0;
};

/// What a function came to.
template <class Handle>
struct Returned {
    Answer answer;
    bool thrown = false;
    bool same = false;  // the failure that it was given
    std::optional<Handle> deferred;
};

template <class A>
class Interpreter {
    using Handle = typename A::Handle;
    using Resolver = typename A::Resolver;

    /// What is known of a Deferred, wherever its handle is.
    struct Life {
        std::optional<typename A::Ref> ref;
        int pauses = 0;
        bool waitedFor = false;  // has its handle been given to something that waits for it
    };
    struct Place {
        std::optional<Handle> handle;
        std::shared_ptr<Life> life;
    };

public:
    explicit Interpreter(const Program& program) : program_(program), algebra_(log_) {}
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

    Log run() {
        for (const auto& operation : program_) {
            perform(operation);
            writeState();
        }
        end();
        return std::move(log_);
    }

    /// In the captures of everything that is added, and in each frame.
    class Token {
    public:
        Token(Interpreter& user, int id) : user_(user), id_(id) { user_.alive_.insert(id); }
        Token(const Token&) = delete;
        Token& operator=(const Token&) = delete;
        ~Token() { user_.alive_.erase(id_); }

    private:
        Interpreter& user_;
        int id_;
    };

    /// A function that is given to addX.
    class Call {
    public:
        Call(Interpreter& user, const Function& function, Type returns)
            : user_(user), function_(function), returns_(returns), token_(user, function.id) {}

        Returned<Handle> operator()(const Answer& got) {
            user_.line(function_.id, "gets " + got.text());
            user_.performInside(function_.body);
            Returned<Handle> returned = result(got);
            const char* const verb = returned.thrown ? "throws " : "returns ";
            const int place = function_.number % places;
            user_.line(function_.id, verb + (returned.deferred ? "d" + std::to_string(place) : returned.answer.text()));
            return returned;
        }
        Type returns() const { return returns_; }
        Form form = Form::plain;

    private:
        Returned<Handle> result(const Answer& got) {
            Returned<Handle> returned;
            const bool same = function_.ends == Ends::same || function_.ends == Ends::throwsSame;
            if (same && got.isFailure()) {
                returned.answer = got;
                returned.same = true;
                returned.thrown = function_.ends == Ends::throwsSame;
            } else if (function_.ends == Ends::throws || function_.ends == Ends::throwsSame || function_.ends == Ends::failure) {
                returned.answer = oops(function_.id);
                returned.thrown = function_.ends != Ends::failure;
            } else {
                returned.answer = Answer::of(returns_, got.value + (same ? 0 : function_.number));
                if (function_.ends == Ends::deferred) returned.deferred = user_.giveUp(function_.number % places, returns_);
            }
            return returned;
        }

        Interpreter& user_;
        const Function& function_;
        Type returns_;
        Token token_;
    };

    class Canceller {
    public:
        Canceller(Interpreter& user, const Operation& operation) : user_(user), operation_(operation), token_(user, operation.id) {}

        template <class View>
        void operator()(View&& view) {
            user_.line(operation_.id, "cancels");
            user_.performInside(operation_.body);
            switch (operation_.canceller) {
            case Cancels::value:
            case Cancels::firesAndThrows: view.fire(Answer::of(operation_.type, operation_.id)); break;
            case Cancels::failure: view.fire(oops(operation_.id)); break;
            case Cancels::none:
            case Cancels::nothing:
            case Cancels::throws: break;
            }
            if (operation_.canceller == Cancels::throws || operation_.canceller == Cancels::firesAndThrows) A::raise(oops(operation_.id));
        }

    private:
        Interpreter& user_;
        const Operation& operation_;
        Token token_;
    };

    /// What a coroutine does between its awaits. The algebra makes a coroutine of it.
    class Body : public A::Frame {
    public:
        Body(Interpreter& user, const Operation& operation) : user_(user), operation_(operation), token_(user, operation.id) {}
        ~Body() { user_.line(operation_.id, "its frame goes"); }

        /// Goes on until it awaits something. False: it is at its end.
        bool goOn() {
            while (!failed_ && next_ != operation_.body.size()) {
                const Operation& operation = operation_.body[next_++];
                if (operation.does != Does::await) {
                    user_.performInside(operation);
                    continue;
                }
                if (!user_.deferreds_[operation.place].handle) continue;
                await_ = &operation;
                user_.announce(operation);
                if (operation.awaits != Awaits::reference) {
                    user_.deferreds_[operation.place].life->waitedFor = true;
                    held_ = user_.take(operation.place);
                }
                return true;
            }
            return false;
        }
        /// What it awaits, and how: it is to be moved from if given, to be a variable of the coroutine meanwhile if held.
        Handle& awaited() { return await_->awaits == Awaits::reference ? *user_.deferreds_[await_->place].handle : *held_.handle; }
        Awaits awaits() const { return await_->awaits; }
        void resume(const Answer& got) {
            user_.line(operation_.id, "gets " + got.text());
            if (awaits() == Awaits::given) held_.handle.reset();
            user_.drop(std::exchange(held_, {}));
            value_ += got.value;
            if (!got.isFailure() || await_->minds == Minds::swallows) return;
            failed_ = true;
            same_ = await_->minds == Minds::passes;
            answer_ = same_ ? got : oops(await_->id);
        }
        /// How it ends: what it returns or throws.
        Returned<Handle> end() {
            Returned<Handle> returned;
            returned.thrown = failed_ || operation_.throws;
            returned.same = failed_ && same_;
            returned.answer = failed_ ? answer_ : operation_.throws ? oops(operation_.id) : Answer::of(operation_.type, value_ + operation_.id);
            user_.line(operation_.id, (returned.thrown ? "throws " : "returns ") + returned.answer.text());
            return returned;
        }

    private:
        Interpreter& user_;
        const Operation& operation_;
        std::size_t next_ = 0;
        const Operation* await_ = nullptr;
        Place held_;
        int value_ = 0;
        bool failed_ = false;
        bool same_ = false;
        Answer answer_;
        Token token_;
    };

private:
    static Answer oops(int id) { return Answer::failed("oops " + std::to_string(id)); }
    void line(int id, const std::string& text) { log_.line("#" + std::to_string(id) + " " + text); }

    // --- Places. Whatever is done to one may run functions, and these may put something else there.

    Place take(int at) {
        Place& place = deferreds_[at];
        Place taken{std::move(place.handle), place.life};
        place.handle.reset();
        return taken;
    }
    /// Nobody but a reference could wake one up that is paused and that nobody holds or waits for.
    void drop(Place place) {
        if (!place.handle) return;
        for (; place.life->pauses > 0; --place.life->pauses) algebra_.unpause(*place.handle);
        place.handle.reset();
    }
    void put(int at, Place place) { drop(std::exchange(deferreds_[at], std::move(place))); }
    /// Where `handle` was, if nothing else is there by now.
    void putBack(int at, std::optional<Handle> handle, std::shared_ptr<Life> life) {
        if (!handle) return;
        Place place{std::move(handle), std::move(life)};
        if (deferreds_[at].handle)
            drop(std::move(place));
        else
            deferreds_[at] = std::move(place);
    }
    std::shared_ptr<Life> newLife(std::optional<typename A::Ref> ref) {
        lives_.push_back(std::make_shared<Life>());
        lives_.back()->ref = std::move(ref);
        return lives_.back();
    }
    std::optional<Handle> giveUp(int at, Type type) {
        if (!deferreds_[at].handle || algebra_.type(*deferreds_[at].handle) != type) return {};
        Place taken = take(at);
        taken.life->waitedFor = true;
        return std::move(taken.handle);
    }

    // --- Operations.

    void performInside(const Operation& operation) {
        log_.inside();
        perform(operation);
        log_.outside();
    }
    void performInside(const std::vector<Operation>& operations) {
        for (const auto& operation : operations) performInside(operation);
    }
    template <class F>
    void guarded(F&& f) {
        try {
            f();
        } catch (...) {
            log_.line("! throws " + A::thrown());
        }
    }
    void announce(const Operation& o) { log_.line("> #" + std::to_string(o.id) + " " + o.text()); }
    void perform(const Operation& o) {
        announce(o);
        switch (o.does) {
        case Does::make: make(o); break;
        case Does::succeed: put(o.place, {algebra_.done(Answer::of(o.type, o.id), o.type), newLife({})}); break;
        case Does::fail: put(o.place, {algebra_.done(oops(o.id), o.type), newLife({})}); break;
        case Does::addCallback:
        case Does::addErrback:
        case Does::addBoth:
        case Does::addCallbacks: add(o); break;
        case Does::fire: fire(o, false); break;
        case Does::failWith: fire(o, true); break;
        case Does::cancel: cancel(deferreds_[o.place]); break;
        case Does::pause: pause(deferreds_[o.place]); break;
        case Does::unpause: unpause(deferreds_[o.place]); break;
        case Does::chain: chain(o); break;
        case Does::dropHandle: drop(take(o.place)); break;
        case Does::dropResolver: dropResolver(o.place); break;
        case Does::own: own(o); break;
        case Does::ownerDies: ownerDies(o.place); break;
        case Does::ownerCancels:
            if (owners_[o.place]) owners_[o.place]->cancel();
            break;
        case Does::coroutine: beginCoroutine(o); break;
        case Does::move:
            if (o.place != o.other && deferreds_[o.other].handle) put(o.place, take(o.other));
            break;
        case Does::await: break;  // only in a coroutine, which does it itself
        }
    }
    void make(const Operation& o) {
        std::shared_ptr<Canceller> canceller;
        if (o.canceller != Cancels::none) canceller = std::make_shared<Canceller>(*this, o);
        auto [resolver, handle] = algebra_.make(o.type, std::move(canceller));
        auto ref = algebra_.ref(handle);
        put(o.place, {std::move(handle), newLife(std::move(ref))});
        const auto old = std::exchange(resolvers_[o.place], std::move(resolver));
    }
    void add(const Operation& o) {
        if (!deferreds_[o.place].handle) return;
        const Type from = algebra_.type(*deferreds_[o.place].handle);
        const bool stays = o.adds == Adds::lvalue || o.does == Does::addErrback;
        const Type to = stays ? from : o.adds == Adds::toNumber ? Type::number : Type::nothing;
        std::vector<std::shared_ptr<Call>> calls;
        for (const auto& function : o.functions) {
            calls.push_back(std::make_shared<Call>(*this, function, to));
            calls.back()->form = function.ends == Ends::deferred ? Form::deferred : o.form;
        }
        if (calls.size() == 2) calls[0]->form = calls[1]->form = std::max(calls[0]->form, calls[1]->form);
        if (o.adds == Adds::lvalue) {
            guarded([&] { algebra_.add(*deferreds_[o.place].handle, o.does, std::move(calls)); });
            return;
        }
        Place taken = take(o.place);
        guarded([&] { taken.handle = algebra_.add(std::move(*taken.handle), o.does, std::move(calls), to); });
        putBack(o.place, std::move(taken.handle), std::move(taken.life));
    }
    void fire(const Operation& o, bool fails) {
        if (!resolvers_[o.place]) return;
        const Type type = algebra_.type(*resolvers_[o.place]);
        guarded([&] { algebra_.fire(*resolvers_[o.place], fails ? oops(o.id) : Answer::of(type, o.id), o.variant); });
    }
    void cancel(Place& place) {
        if (place.handle)
            algebra_.cancel(*place.handle);
        else if (place.life && place.life->ref)
            cancelByReference(place.life);
    }
    void cancelByReference(std::shared_ptr<Life> life) { algebra_.cancel(*life->ref); }
    void pause(Place& place) {
        if (!place.handle && !(place.life && place.life->ref && place.life->waitedFor)) return;
        if (!place.life->ref) place.life->ref = algebra_.ref(*place.handle);
        ++place.life->pauses;
        if (place.handle)
            algebra_.pause(*place.handle);
        else
            algebra_.pause(*place.life->ref);
    }
    void unpause(Place& place) {
        if (!place.life) return;
        const auto life = place.life;
        if (life->pauses > 0) --life->pauses;
        if (place.handle)
            algebra_.unpause(*place.handle);
        else if (life->ref)
            algebra_.unpause(*life->ref);
    }
    void chain(const Operation& o) {
        if (!deferreds_[o.place].handle || !resolvers_[o.other]) return;
        if (algebra_.type(*deferreds_[o.place].handle) != algebra_.type(*resolvers_[o.other])) return;
        Place taken = take(o.place);
        auto target = std::exchange(resolvers_[o.other], {});
        guarded([&] { taken.handle = algebra_.chain(std::move(*taken.handle), std::move(*target)); });
        putBack(o.place, std::move(taken.handle), std::move(taken.life));
    }
    void dropResolver(int at) { const auto dying = std::exchange(resolvers_[at], {}); }
    void own(const Operation& o) {
        if (!deferreds_[o.place].handle) return;
        if (!owners_[o.other]) owners_[o.other] = std::make_unique<typename A::Scope>();
        guarded([&] { algebra_.own(*deferreds_[o.place].handle, *owners_[o.other]); });
    }
    void ownerDies(int at) { const auto dying = std::move(owners_[at]); }
    void beginCoroutine(const Operation& o) {
        auto handle = algebra_.coroutine(o.type, std::make_unique<Body>(*this, o));
        auto ref = algebra_.ref(handle);
        put(o.place, {std::move(handle), newLife(std::move(ref))});
    }

    // --- What is seen from outside.

    void writeState() {
        std::string state = "=";
        for (int i = 0; i < places; ++i) {
            if (deferreds_[i].handle) state += " d" + std::to_string(i) + " " + algebra_.state(*deferreds_[i].handle) + ",";
            if (resolvers_[i] && algebra_.called(*resolvers_[i])) state += " r" + std::to_string(i) + " called,";
        }
        state += " alive:";
        for (const int id : alive_) state += " #" + std::to_string(id);
        if (state != state_) log_.line(state);
        state_ = state;
    }
    /// Lets go of everything, and ends what keeps itself alive. What ends may begin something new.
    void end() {
        for (int round = 0; round < 100; ++round) {
            log_.line("end");
            for (int i = 0; i < places; ++i) {
                drop(take(i));
                dropResolver(i);
            }
            for (int i = 0; i < ownerPlaces; ++i) ownerDies(i);
            for (std::size_t i = 0; i < lives_.size(); ++i) {
                const auto life = lives_[i];
                if (!life->ref) continue;
                for (; life->pauses > 0; --life->pauses) algebra_.unpause(*life->ref);
                cancelByReference(life);
            }
            writeState();
            const auto holds = [](const auto& place) { return place.handle.has_value(); };
            const auto holdsResolver = [](const auto& place) { return place.has_value(); };
            if (std::none_of(deferreds_, deferreds_ + places, holds) && std::none_of(resolvers_, resolvers_ + places, holdsResolver) && alive_.empty()) return;
        }
    }

    const Program& program_;
    Log log_;
    A algebra_;
    std::set<int> alive_;
    std::string state_;
    std::vector<std::shared_ptr<Life>> lives_;
    Place deferreds_[places];
    std::optional<Resolver> resolvers_[places];
    std::unique_ptr<typename A::Scope> owners_[ownerPlaces];
};

}  // namespace algebra
