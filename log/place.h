#pragma once
// Places in the source, as reports name them. Reports list the places of the program, never those inside the library. Any thread.

#include <source_location>
#include <string>
#include <string_view>

#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// True for a place that tells a reader of reports nothing: in a source or header of this library, in a header of the standard library, or none at all.
BINE_EXPORT bool isInternal(const std::source_location& where) noexcept;
/// The same of a file's name, which may be empty.
BINE_EXPORT bool isInternalFile(std::string_view file) noexcept;

/// The place itself, or none if it is internal.
inline std::source_location visiblePlace(const std::source_location& where) noexcept {
    return isInternal(where) ? std::source_location() : where;
}

/// "main.cpp:12 in Window::ask", as the compiler names the file; empty if the place is internal.
BINE_EXPORT std::string placeText(const std::source_location& where);

/// " made at main.cpp:12 in Window::ask" for the verb "made at"; empty if the place is internal.
BINE_EXPORT std::string placeAfter(std::string_view verb, const std::source_location& where);

/// The qualified name in what a compiler calls a function: without result, arguments and template arguments. "Window::ask::lambda" for a lambda there.
BINE_EXPORT std::string shortFunctionName(std::string_view pretty);

}  // namespace bine::inline v0::detail
