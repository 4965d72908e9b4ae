#include "bine/log/place.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <iterator>

namespace bine::inline v0::detail {
namespace {

// The folders of this library, as they stand in "bine/<folder>/file".
constexpr std::string_view folders[] = {"application", "base", "defer",     "gtkreactor", "log",
                                        "net",         "protocols", "qtreactor", "reactors"};

/// Where this library's sources lay when it was built, as the compiler saw it: this file's own name, less what follows.
std::string_view sourceRoot() noexcept {
    std::string_view own = std::source_location::current().file_name();
    own.remove_suffix(std::string_view("log/place.cpp").size());
    return own;
}

// A compiler cache makes the names relative, but not in a unity build. Headers are found below an include directory anywhere.
bool isFileOfThisLibrary(std::string_view file) noexcept {
    for (const std::string_view root : {sourceRoot(), std::string_view(BINE_SOURCE_ROOT)})
        if (!root.empty() && file.starts_with(root) && file.ends_with(".cpp")) {
            const std::string_view inside = file.substr(root.size());
            if (std::find(std::begin(folders), std::end(folders), inside.substr(0, inside.find('/'))) != std::end(folders)) return true;
        }
    const std::size_t name = file.rfind('/');
    if (name == std::string_view::npos || name == 0) return false;
    const std::string_view path = file.substr(0, name);
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return false;
    const std::string_view above = path.substr(0, slash);
    if (!file.ends_with(".h") || (above != "bine" && !above.ends_with("/bine"))) return false;
    return std::find(std::begin(folders), std::end(folders), path.substr(slash + 1)) != std::end(folders);
}

bool isStandardHeader(std::string_view file) noexcept { return file.find("/include/c++/") != std::string_view::npos; }

bool isNameCharacter(char c) noexcept { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

void replaceAll(std::string& text, std::string_view old, std::string_view with) {
    for (std::size_t at = 0; (at = text.find(old, at)) != std::string::npos; at += with.size()) text.replace(at, old.size(), with);
}

/// Without what stands in round or angle brackets.
std::string withoutBrackets(std::string_view text) {
    std::string out;
    int depth = 0;
    for (const char c : text) {
        if (c == '(' || c == '<') ++depth;
        if (depth == 0) out += c;
        if ((c == ')' || c == '>') && depth > 0) --depth;
    }
    return out;
}

/// Where the last "operator" begins, as a word; npos if there is none.
std::size_t operatorIn(std::string_view text) noexcept {
    constexpr std::string_view word = "operator";
    for (std::size_t at = text.rfind(word); at != std::string_view::npos; at = at == 0 ? std::string_view::npos : text.rfind(word, at - 1)) {
        const bool begins = at == 0 || !isNameCharacter(text[at - 1]);
        if (begins && at + word.size() < text.size() && !isNameCharacter(text[at + word.size()])) return at;
    }
    return std::string_view::npos;
}

void dropQualifiers(std::string& text) {
    for (std::size_t space; (space = text.rfind(' ')) != std::string::npos; text.erase(space)) {
        const std::string_view last = std::string_view(text).substr(space + 1);
        if (last != "const" && last != "mutable" && last != "noexcept" && last != "&" && last != "&&") return;
    }
}

}  // namespace

bool isInternal(const std::source_location& where) noexcept { return where.line() == 0 || isInternalFile(where.file_name()); }

bool isInternalFile(std::string_view file) noexcept { return file.empty() || isFileOfThisLibrary(file) || isStandardHeader(file); }

std::string shortFunctionName(std::string_view pretty) {
    std::string text(pretty.substr(0, pretty.find(" [")));  // what template parameters stand for
    for (const std::string_view unnamed : {"{anonymous}::", "(anonymous namespace)::", "<unnamed>::"}) replaceAll(text, unnamed, "");
    replaceAll(text, "(anonymous class)::operator()", "lambda");
    // GCC: "f()::<lambda(int)>"; in a coroutine "f()::<lambda(int)>::operator()(f()::<lambda(int)>::...)".
    for (std::size_t at; (at = text.find("<lambda(")) != std::string::npos;) {
        const std::size_t end = text.find(")>", at);
        if (end == std::string::npos) break;
        text.replace(at, end + 2 - at, "lambda");
        if (text.compare(at + 6, 13, "::operator()(") == 0) text.erase(at + 6, 12);
    }
    std::string symbol;
    const std::string_view beforeArguments = std::string_view(text).substr(0, (std::min)(text.find('('), text.size() - 1) + 1);
    if (const std::size_t at = operatorIn(beforeArguments); at != std::string_view::npos) {
        const bool isCall = text.compare(at, 10, "operator()") == 0;
        symbol = text.substr(at, text.find('(', isCall ? at + 10 : at) - at);
        text.erase(at);
    }
    text = withoutBrackets(text);
    replaceAll(text, " const::", "::");  // a lambda in a const function
    if (symbol.empty()) dropQualifiers(text);
    const std::size_t space = text.rfind(' ');
    std::string name = space == std::string::npos ? text : text.substr(space + 1);
    name.erase(0, name.find_first_not_of("*&"));
    return name + symbol;
}

std::string placeText(const std::source_location& where) {
    if (isInternal(where)) return {};
    std::string text = std::string(where.file_name()) + ':' + std::to_string(where.line());
    if (const std::string function = shortFunctionName(where.function_name()); !function.empty()) text += " in " + function;
    return text;
}

std::string placeAfter(std::string_view verb, const std::source_location& where) {
    const std::string place = placeText(where);
    return place.empty() ? place : ' ' + std::string(verb) + ' ' + place;
}

}  // namespace bine::inline v0::detail
