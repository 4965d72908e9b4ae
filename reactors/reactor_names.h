#pragma once
// Reactors by name, for programs that choose one when they start (`--reactor=poll`).
//
// This library knows "default", "epoll", "poll" and "select". A toolkit's is known once its library has been told to say so: registerQtReactor() adds "qt",
// registerGlibReactor() "glib". Any thread; the maker runs on the caller's.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bine/log/export.h"
#include "bine/reactors/reactor_base.h"

namespace bine::inline v0 {

using ReactorMaker = std::unique_ptr<ReactorBase> (*)();

/// A new reactor of that name. Throws std::invalid_argument that lists the names, if there is none, and what the reactor's constructor throws.
BINE_EXPORT std::unique_ptr<ReactorBase> reactorByName(std::string_view name);

/// The names, sorted, for a program's --help.
BINE_EXPORT std::vector<std::string> reactorNames();

/// Adds a name, or gives it another meaning.
BINE_EXPORT void registerReactor(std::string_view name, ReactorMaker maker);

}  // namespace bine::inline v0
