#include "bine/log/format.h"

#include <cxxabi.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <typeinfo>

namespace bine::inline v0 {

namespace {

constexpr std::size_t messageLimit = 4096;
constexpr std::size_t valueLimit = 1024;
constexpr std::size_t fieldLimit = 64;
constexpr std::size_t detailLimit = 16384;

struct Character {
    char32_t code;
    std::size_t size; // 0: not UTF-8
};

Character decode(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80)
        return {lead, 1};
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size)
        return {0, 0};
    char32_t code = lead & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80)
            return {0, 0};
        code = code << 6 | (next & 0x3f);
    }
    constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return {0, 0};
    return {code, size};
}

/// Would it end a line, steer a terminal, or reorder what stands around it?
bool dangerous(char32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

void appendEscape(std::string& out, char32_t code) {
    char text[16];
    std::snprintf(text, sizeof text, code < 0x100 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
    if (code == '\n')
        out += "\\n";
    else if (code == '\r')
        out += "\\r";
    else if (code == '\t')
        out += "\\t";
    else
        out += text;
}

enum class Lines { one, indented, quoted };

void appendSafe(std::string& out, std::string_view text, std::size_t limit, Lines lines = Lines::one) {
    std::size_t at = 0;
    while (at < text.size()) {
        const Character next = decode(text.substr(at));
        if (at + (next.size ? next.size : 1) > limit)
            break;
        if (next.size == 0)
            appendEscape(out, static_cast<unsigned char>(text[at]));
        else if (lines == Lines::indented && next.code == '\n')
            out += "\n    ";
        else if (dangerous(next.code))
            appendEscape(out, next.code);
        else if (lines == Lines::quoted && (next.code == '"' || next.code == '\\'))
            (out += '\\') += text[at];
        else
            out += text.substr(at, next.size);
        at += next.size ? next.size : 1;
    }
    if (at < text.size())
        out += "... (" + std::to_string(text.size() - at) + " bytes more)";
}

void appendFields(std::string& out, const std::vector<LogField>& fields) {
    std::size_t left = fieldLimit;
    for (const LogField& field : fields) {
        if (left-- == 0) {
            out += " ... (" + std::to_string(fields.size() - fieldLimit) + " fields more)";
            return;
        }
        out += ' ';
        appendSafe(out, field.key(), valueLimit);
        out += '=';
        const bool plain =
            !field.value().empty() && field.value().find_first_of(" =\"\\") == std::string::npos;
        if (!plain)
            out += '"';
        appendSafe(out, field.value(), valueLimit, plain ? Lines::one : Lines::quoted);
        if (!plain)
            out += '"';
    }
}

void appendTime(std::string& out, std::chrono::system_clock::time_point time) {
    // Not gmtime(): its first call opens a file, and at EMFILE leaves the process without its time zone.
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(floor<milliseconds>(time - day));
    char text[48];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    out += text;
}

void appendText(std::string& out, const LogEvent& event) {
    if (!event.prefix.empty()) {
        out += '[';
        appendSafe(out, event.prefix, valueLimit);
        out += "] ";
    }
    appendSafe(out, event.message, messageLimit);
    appendFields(out, event.fields);
    if (event.level >= LogLevel::error && event.where.line() != 0) {
        std::string_view file = event.where.file_name();
        file.remove_prefix(file.rfind('/') + 1); // npos + 1 is 0
        out += " (";
        appendSafe(out, file, valueLimit);
        out += ":" + std::to_string(event.where.line()) + ")";
    }
    // The trace tells what the exception is: not both.
    std::string detail =
        event.detail.empty() && event.failure ? describeException(event.failure) : event.detail;
    while (!detail.empty() && detail.back() == '\n')
        detail.pop_back();
    if (detail.empty())
        return;
    out += "\n    ";
    appendSafe(out, detail, detailLimit, Lines::indented);
}

std::string typeName(const std::type_info* type) {
    if (!type)
        return "unknown exception";
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free);
    return status == 0 && name ? name.get() : type->name();
}

} // namespace

// The parts of log.h that make text.
std::string LogField::text(double value) {
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

std::string_view logLevelName(LogLevel level) noexcept {
    switch (level) {
    case LogLevel::debug:
        return "debug";
    case LogLevel::info:
        return "info";
    case LogLevel::warn:
        return "warn";
    case LogLevel::error:
        return "error";
    case LogLevel::critical:
        return "critical";
    }
    return "unknown level";
}

std::string describeException(const std::exception_ptr& failure) {
    if (!failure)
        return "no exception";
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        const char* what = error.what();
        return typeName(&typeid(error)) + ": " + (what ? what : "(no text)");
    } catch (const std::string& text) {
        return "std::string: " + text;
    } catch (const char* text) {
        return std::string("const char*: ") + (text ? text : "(null)");
    } catch (...) {
        return typeName(abi::__cxa_current_exception_type());
    }
}

std::string formatLogText(const LogEvent& event) {
    std::string out;
    appendText(out, event);
    return out;
}

std::string formatLogEvent(const LogEvent& event) {
    std::string out;
    appendTime(out, event.time);
    ((out += ' ') += logLevelName(event.level)) += " [";
    appendSafe(out, event.logNamespace, valueLimit);
    out += "] ";
    appendText(out, event);
    return out;
}

std::string detail::escaped(std::string_view text, std::size_t limit) {
    std::string out;
    appendSafe(out, text, limit);
    return out;
}

} // namespace bine::inline v0
