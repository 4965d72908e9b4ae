// What a Failure says of itself.
#include <cxxabi.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/defer/stack.h"
#include "bine/log/place.h"

namespace bine::inline v0 {
namespace {

template <class F>
std::string textOf(F&& f) {
    try {
        return f();
    } catch (const abi::__forced_unwind&) {
        throw;
    } catch (...) {
        return "(an exception whose text could not be had: asking for it threw another one)";
    }
}

// Non-standard exceptions: what can be told of them.
std::string thrownText(const std::exception_ptr& pointer) {
    try {
        std::rethrow_exception(pointer);
    } catch (const char* text) {
        return text ? text : "(null)";
    } catch (const std::string& text) {
        return text;
    } catch (int value) {
        return std::to_string(value);
    } catch (...) {
        return "(no text)";
    }
}

const char* wordsFor(detail::Passage passage) {
    static constexpr const char* words[] = {"made at", "fired at", "passed on to the Deferred made at", "awaited at"};
    return words[static_cast<int>(passage)];
}

/// How many bytes of valid UTF-8 begin here; 0 if none do.
std::size_t characterAt(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    // Too long for what they say, surrogates, and beyond U+10FFFF.
    if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) || (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
    return size;
}

/// As a JSON string. Bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const std::size_t size = characterAt(text);
        const char c = text[0];
        if (size == 0) {
            out += "\\ufffd";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            static constexpr char digits[] = "0123456789abcdef";
            out += std::string("\\u00") + digits[c >> 4] + digits[c & 15];
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix((std::max)(size, std::size_t{1}));
    }
    return out + '"';
}

}  // namespace

std::string Failure::getErrorMessage() const {
    return textOf([&]() -> std::string {
        if (!data_) return "no failure";
        if (!data_->exception()) return thrownText(data_->pointer());
        const char* text = data_->exception()->what();
        return text ? text : "(null)";
    });
}

std::string Failure::userMessage() const {
    if (const Error* error = check<Error>()) {
        std::string text;
        try {
            text = error->userMessage();
        } catch (const abi::__forced_unwind&) {
            throw;
        } catch (...) {
        }
        if (!text.empty()) return text;
    }
    return "Something unexpected went wrong: " + getErrorMessage();
}

std::string Failure::typeName() const {
    if (!data_) return "no failure";
    if (const std::exception* exception = data_->exception()) return detail::readableName(typeid(*exception));
    const std::type_info* type = data_->pointer().__cxa_exception_type();
    return type ? detail::readableName(*type) : "unknown type";
}

std::string Failure::getBriefTraceback() const { return typeName() + ": " + getErrorMessage(); }

std::string Failure::getTraceback() const {
    std::string text = getBriefTraceback() + '\n';
    if (!data_) return text;
    std::size_t dropped = 0;
    const std::vector<detail::Place> places = data_->places(dropped);
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (dropped && i == places.size() / 2) text += "  ... " + std::to_string(dropped) + " more ...\n";
        if (const std::string place = detail::placeText(places[i].where); !place.empty())
            text += std::string("  ") + wordsFor(places[i].passage) + ' ' + place + '\n';
    }
    if (const auto* stack = data_->stack()) {
        text += "  with this on the stack:\n";
        for (const std::string& line : detail::stackText(*stack)) text += "    " + line + '\n';
    }
    return text;
}

std::source_location Failure::lastPlace() const {
    std::size_t dropped = 0;
    const std::vector<detail::Place> places = data_ ? data_->places(dropped) : std::vector<detail::Place>();
    const auto last = std::find_if(places.rbegin(), places.rend(), [](const detail::Place& place) { return !detail::isInternal(place.where); });
    return last == places.rend() ? std::source_location() : last->where;
}

std::string Failure::toJson() const {
    std::string text = "{\"type\": " + quoted(typeName()) + ", \"message\": " + quoted(getErrorMessage()) + ", \"frames\": [";
    std::size_t dropped = 0;
    const char* comma = "";
    for (const detail::Place& place : data_ ? data_->places(dropped) : std::vector<detail::Place>()) {
        if (detail::isInternal(place.where)) continue;
        text += std::string(comma) + "{\"passage\": " + quoted(wordsFor(place.passage)) + ", \"file\": " + quoted(place.where.file_name()) +
                ", \"line\": " + std::to_string(place.where.line()) + ", \"function\": " + quoted(detail::shortFunctionName(place.where.function_name())) + '}';
        comma = ", ";
    }
    text += ']';
    if (const auto* stack = data_ ? data_->stack() : nullptr) {
        text += ", \"stack\": [";
        comma = "";
        for (const std::string& line : detail::stackText(*stack)) {
            text += comma + quoted(line);
            comma = ", ";
        }
        text += ']';
    }
    return text + '}';
}

}  // namespace bine::inline v0
