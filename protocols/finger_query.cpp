#include "bine/protocols/finger_query.h"

#include <algorithm>

#include "bine/protocols/plain_text.h"

namespace bine::inline v0 {

InvalidFingerQuery::~InvalidFingerQuery() = default;

namespace {

constexpr std::string_view usage = "Write user@host, or @host to see who is there.";

[[noreturn]] void refuse(std::string_view why, std::string_view advice = usage) {
    throw InvalidFingerQuery(std::string(why) + " " + std::string(advice));
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    const auto first = text.find_first_not_of(blanks);
    return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

constexpr std::string_view linkUsage = "Write finger://host/user, or finger://host to see who is there.";

/// Takes "finger://", in any case, off the front; false if this is no link.
bool takeScheme(std::string_view& text) {
    constexpr std::string_view scheme = "finger://";
    if (text.size() < scheme.size()) return false;
    for (std::size_t i = 0; i < scheme.size(); ++i)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]) != scheme[i]) return false;
    text.remove_prefix(scheme.size());
    return true;
}

int hexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hexDigit(text[i + 1]) : -1;
        const int low = high >= 0 ? hexDigit(text[i + 2]) : -1;
        if (low < 0) refuse("The % in this link is not followed by two hexadecimal digits.", "Write %25 for a % itself.");
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

/// Takes "/W" off the front. Anything else that starts with a slash is no query.
bool takeSwitch(std::string_view& text) {
    if (!text.starts_with('/')) return false;
    const auto word = text.substr(0, text.find_first_of(" \t@"));
    if (word != "/W" && word != "/w")
        refuse("The switch \"" + plainText(word) + "\" is not known.", "There is one: /W, for a long answer.");
    text = trimmed(text.substr(word.size()));
    return true;
}

void checkCharacters(std::string_view text) {
    if (text.size() > FingerQuery::maximumLength)
        refuse("This is too long for a query.", "At most " + std::to_string(FingerQuery::maximumLength) + " bytes are sent.");
    if (!isPlainLine(text)) refuse("There are characters in this query that cannot be sent.");
}

Port portFrom(std::string_view digits, std::string_view host) {
    const bool number = !digits.empty() && digits.size() <= 5 &&
                        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    const int value = number ? std::stoi(std::string(digits)) : 0;
    if (value < 1 || value > 65535)
        refuse("\"" + std::string(digits) + "\" is not a port.", "A port is a number from 1 to 65535, as in \"user@" + std::string(host) + ":79\".");
    return value;
}

struct Destination {
    std::string_view host, port;
    bool hasPort;
};

/// "host", "host:79", "::1", "[::1]", "[::1]:79".
Destination split(std::string_view text) {
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) refuse("The bracket in front of the address is not closed.", "Write user@[::1] or user@[::1]:79.");
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && !rest.starts_with(':')) refuse("What follows the address is not a port.", "Write user@[::1]:79.");
        const auto host = text.substr(1, close - 1);
        if (host.find(':') == std::string_view::npos || !detail::isAddressLiteral(host))
            refuse("\"" + std::string(host) + "\" is not an IPv6 address.", "Only these stand in brackets, as in user@[::1].");
        return {host, rest.empty() ? rest : rest.substr(1), !rest.empty()};
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return {text, {}, false};
    if (text.find(':', colon + 1) == std::string_view::npos) return {text.substr(0, colon), text.substr(colon + 1), true};
    if (!detail::isAddressLiteral(text))
        refuse("\"" + std::string(text) + "\" is neither a host with a port nor an IPv6 address.", "Write user@host:79 or user@[::1]:79.");
    return {text, {}, false};
}

}  // namespace

FingerQuery FingerQuery::parse(std::string_view text, Port port) {
    // Three characters of a link are one byte of the query.
    if (text.size() > 4 * maximumLength) checkCharacters(text);
    FingerQuery query;
    query.port_ = port.number();
    text = trimmed(text);
    if (text.empty()) refuse("There is nothing to ask.");
    query.verbose_ = takeSwitch(text);
    if (takeScheme(text)) {
        query.readLink(text);
        return query;
    }
    checkCharacters(text);
    const auto at = text.rfind('@');
    if (at == std::string_view::npos) refuse("There is no host in \"" + std::string(text) + "\".");
    const auto user = trimmed(text.substr(0, at));
    if (user.find('@') != std::string_view::npos)
        refuse("A host is not asked to ask another one for you: that hides who is asking.", "Ask the host that has the user: user@host.");
    query.user_ = user;
    query.setDestination(trimmed(text.substr(at + 1)));
    return query;
}

void FingerQuery::setDestination(std::string_view text) {
    const Destination to = split(text);
    if (to.host.empty()) refuse("There is no host behind the @.");
    if (to.host.size() > 253 || to.host.find_first_of(" \t/\\<>[]\"") != std::string_view::npos)
        refuse("\"" + std::string(to.host.substr(0, 60)) + "\" is not the name of a host.");
    host_ = to.host;
    if (to.hasPort) port_ = portFrom(to.port, to.host).number();
}

void FingerQuery::readLink(std::string_view link) {
    const auto slash = link.find('/');
    const std::string destination = decoded(link.substr(0, slash));
    std::string request = slash == std::string_view::npos ? std::string() : decoded(link.substr(slash + 1));
    checkCharacters(destination);
    checkCharacters(request);
    if (destination.empty() || destination.starts_with(':')) refuse("There is no host in this link.", linkUsage);
    if (destination.find('@') != std::string::npos) refuse("In a link the user stands behind the host.", linkUsage);
    if (link.find_first_of("?#") != std::string_view::npos)
        refuse("A link of this kind has no part behind a ? or #.", "Write %3F for a ?, and %23 for a #.");
    setDestination(destination);
    std::string_view user = trimmed(request);
    if (takeSwitch(user)) verbose_ = true;
    if (user.find('@') != std::string_view::npos)
        refuse("A host is not asked to ask another one for you: that hides who is asking.", linkUsage);
    user_ = user;
    if (takeScheme(user)) refuse("A link does not stand for a user.", linkUsage);
}

FingerQuery FingerQuery::parseLine(std::string_view line) {
    checkCharacters(line);
    FingerQuery query;
    line = trimmed(line);
    query.verbose_ = takeSwitch(line);
    const auto at = line.find('@');
    query.forwarding_ = at != std::string_view::npos;
    query.user_ = trimmed(line.substr(0, at));
    if (query.forwarding_) query.host_ = trimmed(line.substr(at + 1));
    return query;
}

std::string FingerQuery::line() const {
    std::string line = verbose_ ? (user_.empty() ? "/W" : "/W ") : "";
    return line + user_ + "\r\n";
}

std::string FingerQuery::text() const {
    const bool bracketed = host_.find(':') != std::string::npos;
    std::string text = (verbose_ ? "/W " : "") + user_ + "@" + (bracketed ? "[" + host_ + "]" : host_);
    return port_ == defaultPort ? text : text + ":" + std::to_string(port_);
}

}  // namespace bine::inline v0
