#pragma once
// The algebra of the engine: Bine's Deferreds, as Interpreter (deferred_interpreter.h) uses them.

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"
#include "bine/log/log.h"
#include "defer/deferred_interpreter.h"
#include "defer/deferred_program.h"

namespace algebra {

/// What programs throw and fail with.
class Oops : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Engine {
    template <class T>
    using Deferred = bine::Deferred<T>;
    template <class T>
    struct Of {};

public:
    using Handle = std::variant<Deferred<int>, Deferred<void>>;
    using Resolver = std::variant<bine::Resolver<int>, bine::Resolver<void>>;
    using Ref = bine::DeferredRef;
    using Scope = bine::Scope;
    struct Frame {};

    explicit Engine(Log& log)
        : observer_(bine::addLogObserver([&log](const bine::LogEvent& event) { logged(log, event); }, bine::LogLevel::error)) {}

    template <class C>
    std::pair<Resolver, Handle> make(Type type, std::shared_ptr<C> canceller) {
        return type == Type::number ? make<int>(std::move(canceller)) : make<void>(std::move(canceller));
    }
    Handle done(const Answer& answer, Type type) {
        if (answer.isFailure()) return type == Type::number ? Handle(bine::fail<int>(failure(answer))) : Handle(bine::fail<>(failure(answer)));
        return type == Type::number ? Handle(bine::succeed(answer.value)) : Handle(bine::succeed());
    }
    template <class Call>
    void add(Handle& handle, Does does, std::vector<std::shared_ptr<Call>> calls) {
        std::visit([&]<class T>(Deferred<T>& d) { addForm<T, T>(d, does, std::move(calls)); }, handle);
    }
    template <class Call>
    Handle add(Handle&& handle, Does does, std::vector<std::shared_ptr<Call>> calls, Type to) {
        return std::visit(
            [&]<class T>(Deferred<T>& d) {
                if (to == Type::number) return addForm<T, int>(std::move(d), does, std::move(calls));
                return addForm<T, void>(std::move(d), does, std::move(calls));
            },
            handle);
    }
    Handle chain(Handle&& handle, Resolver&& target) {
        return std::visit([&]<class T>(Deferred<T>& d) { return Handle(std::move(d).chainDeferred(std::get<bine::Resolver<T>>(std::move(target)))); }, handle);
    }
    template <class Body>
    Handle coroutine(Type type, std::unique_ptr<Body> body) {
        return type == Type::number ? Handle(run<int>(std::move(body))) : Handle(run<void>(std::move(body)));
    }

    void fire(Resolver& resolver, const Answer& answer, int variant) {
        std::visit([&]<class T>(bine::Resolver<T>& r) { fireOne(r, answer, variant); }, resolver);
    }
    bool called(const Resolver& resolver) const {
        return std::visit([](const auto& r) { return r.called(); }, resolver);
    }
    void cancel(Handle& handle) {
        std::visit([](auto& d) { d.cancel(); }, handle);
    }
    void pause(Handle& handle) {
        std::visit([](auto& d) { d.pause(); }, handle);
    }
    void unpause(Handle& handle) {
        std::visit([](auto& d) { d.unpause(); }, handle);
    }
    void cancel(Ref& ref) { ref.cancel(); }
    void pause(Ref& ref) { ref.pause(); }
    void unpause(Ref& ref) { ref.unpause(); }
    void own(Handle& handle, Scope& scope) {
        std::visit([&](auto& d) { d.ownedBy(scope); }, handle);
    }
    Ref ref(Handle& handle) {
        return std::visit([](auto& d) { return d.ref(); }, handle);
    }
    template <class V>
    Type type(const V& variant) const {
        return variant.index() == 0 ? Type::number : Type::nothing;
    }
    std::string state(const Handle& handle) const {
        const std::string text = std::visit([](const auto& d) { return d.describe(); }, handle);
        const bool called = std::visit([](const auto& d) { return d.called(); }, handle);
        if (text.starts_with("waiting on")) return "waits";
        if (text == "not fired yet") return called ? "neither fired nor unfired" : "unfired";
        if (!called) return "unfired, but " + text;
        if (text == "fired with a value") return "has a value";
        if (!text.starts_with("failed with ")) return "has nothing";
        return "failed with " + shortName(text.substr(std::string("failed with ").size()));
    }

    [[noreturn]] static void raise(const Answer& answer) { throw Oops(answer.failure); }
    static std::string thrown() { return name(bine::Failure::current()); }

private:
    // --- Failures and their names.

    static bine::Failure failure(const Answer& answer) { return Oops(answer.failure); }
    static std::string name(const bine::Failure& failure) { return shortName(failure.getBriefTraceback()); }
    /// "oops 3" and "CancelledError" of "algebra::Oops: oops 3" and "bine::CancelledError: cancelled".
    static std::string shortName(const std::string& brief) {
        const auto colon = brief.find(": ");
        const std::string text = colon == std::string::npos ? brief : brief.substr(colon + 2);
        if (text.starts_with("oops ")) return text;
        const std::string type = brief.substr(0, colon);
        return type.substr(type.rfind(':') + 1);
    }
    static Answer answerOf(const bine::Failure& failure) { return Answer::failed(name(failure)); }
    static void logged(Log& log, const bine::LogEvent& event) {
        const std::string name = event.failure ? Engine::name(bine::Failure(event.failure)) : "nothing";
        log.line((event.message.find("canceller") != std::string::npos ? "a canceller's exception: " : "unhandled: ") + name);
    }

    // --- Producing.

    template <class T>
    static void fireOne(bine::Resolver<T>& resolver, const Answer& answer, int variant) {
        if (answer.isFailure()) {
            if (variant == 0) return resolver.errback(failure(answer));
            if (variant == 1) return resolver.callback(bine::Result<T>(failure(answer)));
            return resolver.callback(failure(answer));
        }
        if constexpr (std::is_void_v<T>) {
            if (variant == 0) return resolver.callback();
            return resolver.callback(bine::Result<>());
        } else {
            if (variant == 0) return resolver.callback(answer.value);
            return resolver.callback(bine::Result<int>(answer.value));
        }
    }
    template <class T>
    struct View {
        void fire(const Answer& answer) { fireOne(resolver, answer, 0); }
        bine::Resolver<T>& resolver;
    };
    template <class T, class C>
    static std::pair<Resolver, Handle> make(std::shared_ptr<C> canceller) {
        auto resolver = canceller ? bine::Resolver<T>([canceller](bine::Resolver<T>& self) { (*canceller)(View<T>{self}); }) : bine::Resolver<T>();
        canceller = nullptr;
        auto deferred = resolver.deferred();
        return {std::move(resolver), std::move(deferred)};
    }

    // --- Functions: what one is given becomes an Answer, and what it returned what Form says.

    template <class T>
    static Answer answerOf(bine::Result<T>& result) {
        if (result.isFailure()) return answerOf(result.failure());
        if constexpr (std::is_void_v<T>)
            return {};
        else
            return Answer::of(Type::number, result.value());
    }
    template <class U, Form form>
    using ReturnOf = std::conditional_t<form == Form::plain, U, std::conditional_t<form == Form::result, bine::Result<U>, Deferred<U>>>;

    template <class U, Form form>
    static ReturnOf<U, form> giveBack(Returned<Handle> returned, const bine::Failure& given) {
        if (returned.answer.isFailure()) {
            const bine::Failure failure = returned.same ? given : Engine::failure(returned.answer);
            if constexpr (form == Form::plain) failure.raiseException();
            if (returned.thrown) failure.raiseException();
            if constexpr (form == Form::result) return failure;
            if constexpr (form == Form::deferred) return bine::fail<U>(failure);
        }
        if constexpr (form == Form::deferred) {
            if (returned.deferred) return std::get<Deferred<U>>(std::move(*returned.deferred));
            if constexpr (std::is_void_v<U>)
                return bine::succeed();
            else
                return bine::succeed(returned.answer.value);
        } else if constexpr (!std::is_void_v<U>) {
            return returned.answer.value;
        } else if constexpr (form == Form::result) {
            return {};
        }
    }
    template <class T, class U, Form form, class Call>
    static auto onValue(std::shared_ptr<Call> call) {
        if constexpr (std::is_void_v<T>)
            return [call = std::move(call)] { return giveBack<U, form>((*call)({}), {}); };
        else
            return [call = std::move(call)](int value) { return giveBack<U, form>((*call)(Answer::of(Type::number, value)), {}); };
    }
    template <class U, Form form, class Call>
    static auto onFailure(std::shared_ptr<Call> call) {
        return [call = std::move(call)](const bine::Failure& failure) { return giveBack<U, form>((*call)(answerOf(failure)), failure); };
    }
    template <class T, class U, Form form, class Call>
    static auto onBoth(std::shared_ptr<Call> call) {
        return [call = std::move(call)](bine::Result<T> result) {
            return giveBack<U, form>((*call)(answerOf(result)), result.isFailure() ? result.failure() : bine::Failure());
        };
    }

    template <class T, class U, class D, class Call>
    static Handle addForm(D&& deferred, Does does, std::vector<std::shared_ptr<Call>> calls) {
        switch (calls.front()->form) {
        case Form::plain: return addOne<T, U, Form::plain>(std::forward<D>(deferred), does, std::move(calls));
        case Form::result: return addOne<T, U, Form::result>(std::forward<D>(deferred), does, std::move(calls));
        default: return addOne<T, U, Form::deferred>(std::forward<D>(deferred), does, std::move(calls));
        }
    }
    /// On the lvalue there is nothing to give back.
    template <class U, class D>
    static Handle handleOf(D&& deferred) {
        if constexpr (std::is_lvalue_reference_v<D>)
            return bine::succeed();
        else
            return static_cast<Deferred<U>&&>(deferred);
    }
    template <class T, class U, Form form, class D, class Call>
    static Handle addOne(D&& deferred, Does does, std::vector<std::shared_ptr<Call>> calls) {
        auto first = std::move(calls.front());
        auto second = std::move(calls.back());
        calls.clear();
        switch (does) {
        case Does::addCallback: return handleOf<U>(std::forward<D>(deferred).addCallback(onValue<T, U, form>(std::move(first))));
        case Does::addErrback: return handleOf<T>(std::forward<D>(deferred).addErrback(onFailure<T, form>(std::move(first))));
        case Does::addBoth: return handleOf<U>(std::forward<D>(deferred).addBoth(onBoth<T, U, form>(std::move(first))));
        default:
            return handleOf<U>(
                std::forward<D>(deferred).addCallbacks(onValue<T, U, form>(std::move(first)), onFailure<U, form>(std::move(second))));
        }
    }

    // --- Coroutines.

    template <class T, class Body>
    static Deferred<T> run(std::unique_ptr<Body> body) {
        std::exception_ptr exception;
        while (body->goOn()) {
            Handle& awaited = body->awaited();
            std::optional<Handle> held;
            if (body->awaits() == Awaits::held) held = std::move(awaited);
            Handle& handle = held ? *held : awaited;
            const bool given = body->awaits() == Awaits::given;
            Answer got;
            try {
                if (auto* const number = std::get_if<Deferred<int>>(&handle)) {
                    int value = 0;
                    if (given)
                        value = co_await std::move(*number);
                    else
                        value = co_await *number;
                    got = Answer::of(Type::number, value);
                } else if (given) {
                    co_await std::move(std::get<Deferred<void>>(handle));
                } else {
                    co_await std::get<Deferred<void>>(handle);
                }
            } catch (...) {
                exception = std::current_exception();
                got = answerOf(bine::Failure(exception));
            }
            if (held) awaited = std::move(*held);
            body->resume(got);
        }
        const auto end = body->end();
        if (end.same) std::rethrow_exception(exception);
        if (end.thrown) raise(end.answer);
        if constexpr (!std::is_void_v<T>) co_return end.answer.value;
    }

    bine::LogSubscription observer_;
};

}  // namespace algebra
