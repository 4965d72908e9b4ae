#pragma once
// Log events as text for people.
//
// Any thread may call these. They open no file (an event may be about having no descriptors left), so times
// are UTC. What comes from outside cannot forge a line or steer a terminal: control characters, line
// separators, bidirectional overrides and bytes that are no UTF-8 are shown as \n, \x1b, \u202e. Long text is
// cut: 4 KiB of message, 1 KiB of prefix or value, 64 fields, 16 KiB of detail.

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

#include "bine/log/export.h"
#include "bine/log/log.h"

namespace bine::inline v0 {

/// The whole event: "2026-02-28T12:00:00.000Z error [bine.tcp] [prefix] message key=value (file.cpp:12)",
/// then the detail, indented. No newline at the end.
BINE_EXPORT std::string formatLogEvent(const LogEvent& event);

/// The same without time, level and namespace, for a host's log that has its own columns for these.
BINE_EXPORT std::string formatLogText(const LogEvent& event);

/// "std::runtime_error: the text". Knows what exceptions other than std::exception are called, too; a null
/// pointer is "no exception".
BINE_EXPORT std::string describeException(const std::exception_ptr& failure);

namespace detail {

/// Text from outside as one line that is safe to show, escaped as in an event; at most `limit` bytes of it.
BINE_EXPORT std::string escaped(std::string_view text, std::size_t limit);

} // namespace detail

} // namespace bine::inline v0
