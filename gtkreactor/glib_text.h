#pragma once
// GString and GBytes where Bine takes text or bytes.
//
//     transport().write(string);        // a GString*, as it is
//     transport().write(bytes);         // a GBytes*, as it is
//
// Neither is copied before the call returns, nor freed by it. Null is an empty text. GLib's `char*` text needs no header:
// it is a std::string_view already. Any thread.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <glib.h>

#include <string_view>

#include "bine/base/text_traits.h"

namespace bine::inline v0 {

template <>
struct TextTraits<GString*> {
    static std::string_view read(const GString* text) noexcept {
        return text ? std::string_view(text->str, text->len) : std::string_view();
    }
};

template <>
struct TextTraits<GBytes*> {
    static std::string_view read(GBytes* bytes) noexcept {
        if (!bytes)
            return {};
        gsize size = 0;
        const void* data = g_bytes_get_data(bytes, &size);
        return {static_cast<const char*>(data), size};
    }
};

} // namespace bine::inline v0
