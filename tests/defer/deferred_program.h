#pragma once
// A program of the Deferred algebra: what somebody does with resolvers, Deferreds and owners, also inside callbacks, cancellers and coroutines.
//
// It is read from bytes, any bytes: each operation is a letter and its operands, and a byte that names none of the choices stands for one of them all the
// same. White space is skipped, so that a program can be written by hand:
//
//     m0i-        r0 and d0 are the ends of a new Deferred<int> without a canceller
//     c0lpv5      d0.addCallback(...), which returns the value + 5
//     f0v         r0.callback(...)
//
// There are 6 places for Deferreds (d0 to d5) and for resolvers, 3 for owners. An operation on an empty place does nothing.
//
//     m place type canceller {}    a new pair. type: i int, v void. canceller: - none, n does nothing, v fires a value, e fires a failure, t throws, b fires and
//                                  throws; what stands in braces it does before
//     s place type                 succeed()
//     x place type                 fail()
//     c e b place how function     addCallback, addErrback, addBoth
//     p place how function function    addCallbacks
//                                  how: two letters. l on the lvalue; i v on the rvalue, to int or void, where the type may change. p q d: what the function
//                                  returns is the plain type, a Result, a Deferred
//                                  function: what it returns, a digit, {}. v the value + digit; s what it was given; t throws; r returns a Failure; w throws what
//                                  it was given, or a new one; d the Deferred at the place that the digit names
//     f place v|q                  fires a value: callback(value), callback(Result)
//     g place v|q|c                fires a failure: errback(Failure), callback(Result), callback(Failure)
//     k place                      cancel()
//     h u place                    pause() (hold), unpause()
//     > place place                chainDeferred() to a resolver
//     d place, r place             lets go of the Deferred, of the resolver
//     o place owner                ownedBy()
//     z owner, y owner             the owner dies; its cancel()
//     w place type v|t {}          a coroutine (work), which ends with a value or throws. In its braces also:
//     a place r|l|h s|p|t          awaits: the rvalue, the lvalue, the lvalue after taking it into the frame. A failure it swallows, lets pass, or replaces.
//     = place place                moves a Deferred to the first place

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace algebra {

inline constexpr int places = 6;
inline constexpr int ownerPlaces = 3;

enum class Type : std::uint8_t { number, nothing };  // Deferred<int>, Deferred<void>

/// What is seen of a result.
struct Answer {
    enum class Kind : std::uint8_t { value, nothing, failure };

    static Answer of(Type type, int value) { return type == Type::number ? Answer{Kind::value, value, {}} : Answer{}; }
    static Answer failed(std::string name) { return {Kind::failure, 0, std::move(name)}; }
    bool isFailure() const { return kind == Kind::failure; }
    std::string text() const;

    Kind kind = Kind::nothing;
    int value = 0;
    std::string failure;  // "oops 3", "CancelledError"
};

enum class Does : std::uint8_t {
    make, succeed, fail, addCallback, addErrback, addBoth, addCallbacks, fire, failWith, cancel, pause, unpause,
    chain, dropHandle, dropResolver, own, ownerDies, ownerCancels, coroutine, move, await,
};
enum class Cancels : std::uint8_t { none, nothing, value, failure, throws, firesAndThrows };
enum class Adds : std::uint8_t { lvalue, toNumber, toNothing };
enum class Form : std::uint8_t { plain, result, deferred };
enum class Ends : std::uint8_t { value, same, throws, failure, throwsSame, deferred };
enum class Awaits : std::uint8_t { given, reference, held };
enum class Minds : std::uint8_t { swallows, passes, replaces };

struct Operation;

/// What a function given to addX does, on one of its sides.
struct Function {
    int id = 0;
    Ends ends = Ends::value;
    int number = 0;
    std::vector<Operation> body;
};

struct Operation {
    int id = 0;  // of this operation; what it fires, fails with, or adds has this number
    Does does = Does::cancel;
    int place = 0;
    int other = 0;
    Type type = Type::number;
    Cancels canceller = Cancels::none;
    Adds adds = Adds::lvalue;
    Form form = Form::plain;
    bool throws = false;         // a coroutine
    int variant = 0;             // of firing
    Awaits awaits = Awaits::given;
    Minds minds = Minds::swallows;
    std::vector<Function> functions;
    std::vector<Operation> body;  // of a canceller or a coroutine

    /// One line for people, without its functions and what stands in braces.
    std::string text() const;
};

using Program = std::vector<Operation>;

/// Any bytes are a program; what is beyond the limits of size and depth is left out.
Program readProgram(std::string_view bytes);

/// The shortest bytes that are this program.
std::string bytesOf(const Program& program);

/// For people: a line for each operation, first its bytes, then what it does and the number that logs use.
std::string programText(const Program& program);

}  // namespace algebra
