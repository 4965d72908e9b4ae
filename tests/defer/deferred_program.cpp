#include "defer/deferred_program.h"

#include <algorithm>

namespace algebra {

namespace {

constexpr int mostOperations = 300;
constexpr int mostDepth = 5;

// In the order of the enumerations.
constexpr std::string_view operationLetters = "msxcebpfgkhu>drozyw=a";
constexpr std::string_view typeLetters = "iv";
constexpr std::string_view cancellerLetters = "-nvetb";
constexpr std::string_view addLetters = "liv";
constexpr std::string_view formLetters = "pqd";
constexpr std::string_view endLetters = "vstrwd";
constexpr std::string_view fireLetters = "vq";
constexpr std::string_view failLetters = "vqc";
constexpr std::string_view coroutineLetters = "vt";
constexpr std::string_view awaitLetters = "rlh";
constexpr std::string_view mindLetters = "spt";

class Reader {
public:
    explicit Reader(std::string_view bytes) : left_(bytes) { skipSpace(); }

    Program program() {
        Program program;
        while (!left_.empty() && lastId_ < mostOperations) program.push_back(operation(false));
        return program;
    }

private:
    void skipSpace() {
        while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\n')) left_.remove_prefix(1);
    }
    unsigned char next() {
        if (left_.empty()) return 0;
        const auto byte = static_cast<unsigned char>(left_.front());
        left_.remove_prefix(1);
        skipSpace();
        return byte;
    }
    int digit(int count) {
        const int byte = next();
        return (byte >= '0' && byte <= '9' ? byte - '0' : byte) % count;
    }
    /// The number of the letter that comes among those given.
    int letter(std::string_view letters) {
        const auto byte = next();
        const auto found = letters.find(static_cast<char>(byte));
        return static_cast<int>(found != std::string_view::npos ? found : byte % letters.size());
    }
    template <class E>
    E one(std::string_view letters) {
        return static_cast<E>(letter(letters));
    }

    std::vector<Operation> braces(bool awaits) {
        std::vector<Operation> body;
        if (left_.empty() || left_.front() != '{' || depth_ == mostDepth) return body;
        next();
        ++depth_;
        while (!left_.empty() && left_.front() != '}' && lastId_ < mostOperations) body.push_back(operation(awaits));
        next();
        --depth_;
        return body;
    }
    Function function() {
        Function function;
        function.id = ++lastId_;
        function.ends = one<Ends>(endLetters);
        function.number = digit(10);
        function.body = braces(false);
        return function;
    }
    Operation operation(bool awaits) {
        Operation o;
        o.id = ++lastId_;
        o.does = one<Does>(awaits ? operationLetters : operationLetters.substr(0, operationLetters.size() - 1));
        const bool ofOwner = o.does == Does::ownerDies || o.does == Does::ownerCancels;
        o.place = digit(ofOwner ? ownerPlaces : places);
        switch (o.does) {
        case Does::make:
            o.type = one<Type>(typeLetters);
            o.canceller = one<Cancels>(cancellerLetters);
            o.body = braces(false);
            break;
        case Does::succeed:
        case Does::fail: o.type = one<Type>(typeLetters); break;
        case Does::addCallback:
        case Does::addErrback:
        case Does::addBoth:
        case Does::addCallbacks:
            o.adds = one<Adds>(addLetters);
            o.form = one<Form>(formLetters);
            o.functions.push_back(function());
            if (o.does == Does::addCallbacks) o.functions.push_back(function());
            break;
        case Does::fire: o.variant = letter(fireLetters); break;
        case Does::failWith: o.variant = letter(failLetters); break;
        case Does::chain:
        case Does::move: o.other = digit(places); break;
        case Does::own: o.other = digit(ownerPlaces); break;
        case Does::coroutine:
            o.type = one<Type>(typeLetters);
            o.throws = letter(coroutineLetters) == 1;
            o.body = braces(true);
            break;
        case Does::await:
            o.awaits = one<Awaits>(awaitLetters);
            o.minds = one<Minds>(mindLetters);
            break;
        case Does::cancel:
        case Does::pause:
        case Does::unpause:
        case Does::dropHandle:
        case Does::dropResolver:
        case Does::ownerDies:
        case Does::ownerCancels: break;
        }
        return o;
    }

    std::string_view left_;
    int lastId_ = 0;
    int depth_ = 0;
};

std::string deferred(int place) { return "d" + std::to_string(place); }
std::string resolver(int place) { return "r" + std::to_string(place); }
std::string owner(int place) { return "owner " + std::to_string(place); }
const char* name(Type type) { return type == Type::number ? "int" : "void"; }

// --- Writing. The letters are those of Reader.

template <class E>
char letterOf(std::string_view letters, E e) {
    return letters[static_cast<std::size_t>(e)];
}
std::string bytes(const Function& function) { return {letterOf(endLetters, function.ends), static_cast<char>('0' + function.number)}; }

/// Without its functions and braces.
std::string bytes(const Operation& o) {
    std::string text{letterOf(operationLetters, o.does), static_cast<char>('0' + o.place)};
    const char other = static_cast<char>('0' + o.other);
    switch (o.does) {
    case Does::make: return text + letterOf(typeLetters, o.type) + letterOf(cancellerLetters, o.canceller);
    case Does::succeed:
    case Does::fail: return text + letterOf(typeLetters, o.type);
    case Does::addCallback:
    case Does::addErrback:
    case Does::addBoth:
    case Does::addCallbacks: return text + letterOf(addLetters, o.adds) + letterOf(formLetters, o.form);
    case Does::fire: return text + letterOf(fireLetters, o.variant);
    case Does::failWith: return text + letterOf(failLetters, o.variant);
    case Does::chain:
    case Does::move:
    case Does::own: return text + other;
    case Does::coroutine: return text + letterOf(typeLetters, o.type) + letterOf(coroutineLetters, o.throws);
    case Does::await: return text + letterOf(awaitLetters, o.awaits) + letterOf(mindLetters, o.minds);
    default: return text;
    }
}

std::string text(const Function& function) {
    static constexpr const char* ends[] = {"returns its value + ", "returns what it was given", "throws", "returns a Failure", "throws what it was given",
                                           "returns d"};
    const std::string text = ends[static_cast<int>(function.ends)];
    if (function.ends == Ends::value) return text + std::to_string(function.number);
    return function.ends == Ends::deferred ? text + std::to_string(function.number % places) : text;
}

/// Calls line(depth, bytes, id, text) for each operation, function and closing brace; of the last, id is 0.
template <class Line>
void forEachLine(const std::vector<Operation>& operations, std::size_t depth, const Line& line) {
    const auto block = [&](std::size_t at, const std::string& bytes, int id, const std::string& text, const std::vector<Operation>& body) {
        line(at, body.empty() ? bytes : bytes + "{", id, text);
        forEachLine(body, at + 1, line);
        if (!body.empty()) line(at, "}", 0, "");
    };
    for (const auto& o : operations) {
        block(depth, bytes(o), o.id, o.text(), o.body);
        for (const auto& function : o.functions) block(depth + 1, bytes(function), function.id, text(function), function.body);
    }
}

}  // namespace

std::string Answer::text() const {
    if (kind == Kind::failure) return failure;
    return kind == Kind::value ? std::to_string(value) : "nothing";
}

std::string Operation::text() const {
    const std::string d = deferred(place);
    const auto add = [&](const char* call) {
        static constexpr const char* how[] = {"", " on the rvalue, to int", " on the rvalue, to void"};
        static constexpr const char* forms[] = {"", ", by a Result", ", by a Deferred"};
        return d + "." + call + how[static_cast<int>(adds)] + forms[static_cast<int>(form)];
    };
    switch (does) {
    case Does::make: {
        static constexpr const char* cancellers[] = {"none", "does nothing", "fires a value", "fires a failure", "throws", "fires a value and throws"};
        return resolver(place) + ", " + d + " = a Deferred<" + name(type) + ">, canceller: " + cancellers[static_cast<int>(canceller)];
    }
    case Does::succeed: return d + " = succeed<" + name(type) + ">";
    case Does::fail: return d + " = fail<" + name(type) + ">";
    case Does::addCallback: return add("addCallback");
    case Does::addErrback: return add("addErrback");
    case Does::addBoth: return add("addBoth");
    case Does::addCallbacks: return add("addCallbacks");
    case Does::fire: return resolver(place) + (variant == 0 ? ".callback(value)" : ".callback(Result of a value)");
    case Does::failWith: return resolver(place) + (variant == 0 ? ".errback()" : variant == 1 ? ".callback(Result of a failure)" : ".callback(Failure)");
    case Does::cancel: return d + ".cancel()";
    case Does::pause: return d + ".pause()";
    case Does::unpause: return d + ".unpause()";
    case Does::chain: return d + ".chainDeferred(" + resolver(other) + ")";
    case Does::dropHandle: return d + " is dropped";
    case Does::dropResolver: return resolver(place) + " is dropped";
    case Does::own: return d + ".ownedBy(" + owner(other) + ")";
    case Does::ownerDies: return owner(place) + " dies";
    case Does::ownerCancels: return owner(place) + ".cancel()";
    case Does::coroutine: return d + " = a coroutine of Deferred<" + name(type) + "> that " + (throws ? "throws" : "returns");
    case Does::move: return d + " = std::move(" + deferred(other) + ")";
    case Does::await: {
        static constexpr const char* how[] = {"std::move(", "", "held "};
        static constexpr const char* mind[] = {"swallows a failure", "lets a failure pass", "replaces a failure"};
        return std::string("co_await ") + how[static_cast<int>(awaits)] + d + (awaits == Awaits::given ? "), " : ", ") + mind[static_cast<int>(minds)];
    }
    }
    return {};
}

Program readProgram(std::string_view bytes) { return Reader(bytes).program(); }

std::string bytesOf(const Program& program) {
    std::string all;
    forEachLine(program, 0, [&](std::size_t, const std::string& bytes, int, const std::string&) { all += bytes; });
    return all;
}

std::string programText(const Program& program) {
    std::string all;
    forEachLine(program, 0, [&](std::size_t depth, const std::string& bytes, int id, const std::string& text) {
        std::string line = std::string(depth * 2, ' ') + bytes;
        if (id != 0) line.resize(std::max<std::size_t>(line.size() + 1, 20), ' ');
        all += id == 0 ? line + "\n" : line + "#" + std::to_string(id) + " " + text + "\n";
    });
    return all;
}

}  // namespace algebra
